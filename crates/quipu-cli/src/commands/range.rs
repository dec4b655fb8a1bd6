//! `quipu range`: items in index order.

use std::ops::Bound;

use quipu::{Item, KeyBytes};

use crate::archive::{ReadArgs, open_reader};
use crate::failure::Result;
use crate::output::Output;

/// Print items in index order, one a line: index, key, bytes of the value
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    read: ReadArgs,
    /// Which indices: FROM..TO, FROM..=TO, FROM.., ..TO or one INDEX
    #[arg(default_value = "..", value_parser = parse_span)]
    span: Span,
    /// From the last index to the first
    #[arg(long)]
    reverse: bool,
    /// Print the value in hex instead of its size
    #[arg(long, conflicts_with = "json")]
    hex: bool,
}

type Span = (Bound<u64>, Bound<u64>);

pub(crate) fn run(args: Args) -> Result<()> {
    let archive = open_reader(&args.read.archive)?;
    let mut out = Output::new();
    let mut items = archive.range(args.span);
    let mut damage = None;
    while let Some(item) = if args.reverse {
        items.next_back()
    } else {
        items.next()
    } {
        match item {
            Ok(item) => print(&mut out, &item, &args)?,
            // Told once the items that are whole are out.
            Err(error) if error.is_corruption() => drop(damage.get_or_insert(error)),
            Err(error) => return Err(error.into()),
        }
    }
    out.finish()?;
    damage.map_or(Ok(()), |error| Err(error.into()))
}

fn print(out: &mut Output, item: &Item<KeyBytes>, args: &Args) -> Result<()> {
    if args.read.json {
        return out.item(item);
    }
    let value = match args.hex {
        true => hex::encode(&item.value),
        false => item.value.len().to_string(),
    };
    out.line(&format!(
        "{} {} {value}",
        item.index,
        hex::encode(&item.key)
    ))
}

fn parse_span(text: &str) -> std::result::Result<Span, String> {
    let number = |text: &str| {
        let parsed = text.parse::<u64>();
        parsed.map_err(|_| format!("{text:?} is no index; give FROM..TO, as in 10..20"))
    };
    let Some((from, to)) = text.split_once("..") else {
        let index = number(text)?;
        return Ok((Bound::Included(index), Bound::Included(index)));
    };
    let from = match from {
        "" => Bound::Unbounded,
        from => Bound::Included(number(from)?),
    };
    let to = match (to, to.strip_prefix('=')) {
        ("", _) => Bound::Unbounded,
        (_, Some(last)) => Bound::Included(number(last)?),
        (to, None) => Bound::Excluded(number(to)?),
    };
    Ok((from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        use Bound::{Excluded, Included, Unbounded};
        assert_eq!(parse_span("3..7"), Ok((Included(3), Excluded(7))));
        assert_eq!(parse_span("3..=7"), Ok((Included(3), Included(7))));
        assert_eq!(parse_span("3.."), Ok((Included(3), Unbounded)));
        assert_eq!(parse_span("..7"), Ok((Unbounded, Excluded(7))));
        assert_eq!(parse_span(".."), Ok((Unbounded, Unbounded)));
        assert_eq!(parse_span("5"), Ok((Included(5), Included(5))));
        for bad in ["", "a", "1..b", "-1..2", "1...2", "18446744073709551616"] {
            assert!(parse_span(bad).is_err(), "{bad}");
        }
    }
}

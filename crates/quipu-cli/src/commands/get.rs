//! `quipu get`: one item by index or by key.

use clap::ArgGroup;
use quipu::{Item, KeyBytes, Reader};

use crate::archive::{ReadArgs, open_reader, parse_key};
use crate::failure::{Failure, Result};
use crate::output::Output;

/// Print the value of an item, by index or by key
///
/// The value's bytes go to standard output as they are.
#[derive(clap::Args)]
#[command(group(ArgGroup::new("id").required(true).args(["index", "key"])))]
#[command(override_usage = "quipu get [OPTIONS] <ARCHIVE> <INDEX | --key <HEX>>")]
pub(crate) struct Args {
    #[command(flatten)]
    read: ReadArgs,
    /// The item's index
    index: Option<u64>,
    /// The item's key, in hex
    #[arg(long, value_name = "HEX")]
    key: Option<String>,
    /// Print the value in hex, with a newline
    #[arg(long, conflicts_with = "json")]
    hex: bool,
    /// Print every item at the index, in the order stored
    #[arg(long, requires = "index")]
    all: bool,
}

pub(crate) fn run(args: Args) -> Result<()> {
    let archive = open_reader(&args.read.archive)?;
    let items = find(&archive, &args)?;
    if items.is_empty() {
        return Err(absent(&archive, &args));
    }
    let mut out = Output::new();
    for item in &items {
        if args.read.json {
            out.item(item)?;
        } else if args.hex {
            out.line(&hex::encode(&item.value))?;
        } else {
            out.raw(&item.value)?;
        }
    }
    out.finish()
}

fn find(archive: &Reader<KeyBytes>, args: &Args) -> Result<Vec<Item<KeyBytes>>> {
    let one = match (args.index, &args.key) {
        (Some(index), _) if args.all => {
            return Ok(archive.range(index..=index).collect::<quipu::Result<_>>()?);
        }
        (Some(index), _) => archive.get_item(index)?,
        (None, Some(key)) => archive.get_item(&parse_key(key)?)?,
        (None, None) => None,
    };
    Ok(one.into_iter().collect())
}

fn absent(archive: &Reader<KeyBytes>, args: &Args) -> Failure {
    let path = args.read.archive.display();
    Failure::Absent(match (args.index, &args.key) {
        (Some(index), _) if index < archive.floor() => {
            format!(
                "index {index} was pruned from {path}, whose floor is {}",
                archive.floor()
            )
        }
        (Some(index), _) => {
            format!("{path} holds nothing at index {index}; `quipu gaps` lists what it lacks")
        }
        (None, key) => format!(
            "{path} holds no item with key {}",
            key.as_deref().unwrap_or_default()
        ),
    })
}

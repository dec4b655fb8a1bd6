//! `quipu put`: one item in.

use std::io::Read;
use std::path::PathBuf;

use clap::ArgGroup;
use quipu::{KeyBytes, Put};
use serde::Serialize;

use super::import_lines::{KEY_SIZE, key_of};
use crate::archive::{Create, parse_key};
use crate::failure::{Failure, Result};
use crate::output::Output;

/// Put one item, durably
///
/// Where the index is taken nothing changes, and the exit code is 1. Prints the item's key.
#[derive(clap::Args)]
#[command(group(ArgGroup::new("from").required(true).args(["value", "file"])))]
#[command(override_usage = "quipu put [OPTIONS] <ARCHIVE> <INDEX> <VALUE | --file <FILE>>")]
pub(crate) struct Args {
    /// The archive's folder
    archive: PathBuf,
    /// The item's index
    index: u64,
    /// The value, as text
    value: Option<String>,
    /// The value is what this file holds; - for standard input
    #[arg(long)]
    file: Option<PathBuf>,
    /// The item's key, in hex [default: SHA-256 of the index (8 bytes, big-endian) and the value]
    #[arg(long, value_name = "HEX")]
    key: Option<String>,
    /// Add another item where the index is taken
    #[arg(long)]
    multi: bool,
    /// Make the archive where there is none
    #[arg(long)]
    create: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: Create,
}

#[derive(Serialize)]
struct Done {
    index: u64,
    key: String,
    stored: bool,
}

pub(crate) fn run(args: Args) -> Result<()> {
    let value = read_value(&args)?;
    let key = match &args.key {
        Some(key) => parse_key(key)?,
        None => key_of(args.index, &value),
    };
    let stored = put(&args, &key, &value)?;
    let mut out = Output::new();
    let key = hex::encode(&key);
    if args.json {
        out.json(&Done {
            index: args.index,
            key,
            stored: stored == Put::Stored,
        })?;
    } else if stored == Put::Stored {
        out.line(&key)?;
    }
    out.finish()?;
    match stored {
        Put::Stored => Ok(()),
        Put::Exists => Err(Failure::Absent(format!(
            "index {} is taken, nothing was changed; --multi adds another item",
            args.index
        ))),
    }
}

fn put(args: &Args, key: &KeyBytes, value: &[u8]) -> Result<Put> {
    let key_size = key.as_ref().len();
    let mut archive = match args.create {
        true if args.key.is_none() => args.settings.open(&args.archive, KEY_SIZE)?,
        true => args.settings.open(&args.archive, key_size)?,
        false => args.settings.open_existing(&args.archive)?,
    };
    if args.key.is_none() && archive.settings().key_size != KEY_SIZE {
        let size = archive.settings().key_size;
        return Err(Failure::Usage(format!(
            "the keys of this archive have {size} bytes; give one with --key"
        )));
    }
    // An item that is there but damaged is noticed by reading it, and then put again.
    archive.status(args.index)?;
    let put = match args.multi {
        true => archive.put_multi(args.index, key, value)?,
        false => archive.put(args.index, key, value)?,
    };
    archive.close()?;
    Ok(put)
}

fn read_value(args: &Args) -> Result<Vec<u8>> {
    let mut value = Vec::new();
    let read = match &args.file {
        None => return Ok(args.value.clone().unwrap_or_default().into_bytes()),
        Some(file) if file.as_os_str() == "-" => {
            std::io::stdin().lock().read_to_end(&mut value).map(drop)
        }
        Some(file) => std::fs::read(file).map(|bytes| value = bytes),
    };
    let name = args.file.as_deref().unwrap_or("-".as_ref()).display();
    read.map_err(|error| Failure::Other(format!("cannot read {name}: {error}")))?;
    Ok(value)
}

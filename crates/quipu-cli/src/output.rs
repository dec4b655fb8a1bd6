//! What commands print.

use std::io::{self, BufWriter, StdoutLock, Write};

use quipu::{Bytes, Item, KeyBytes};
use serde::Serialize;

use crate::failure::{Failure, Result};

/// Standard output, buffered; a pipe that breaks ends the command without an error.
pub(crate) struct Output {
    out: BufWriter<StdoutLock<'static>>,
}

/// An item in JSON.
#[derive(Serialize)]
struct JsonItem {
    index: u64,
    key: String,
    value: String,
}

impl Output {
    pub(crate) fn new() -> Self {
        Self {
            out: BufWriter::new(io::stdout().lock()),
        }
    }

    /// Bytes as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> Result<()> {
        self.out
            .write_all(bytes)
            .map_err(|error| Failure::output(&error))
    }

    pub(crate) fn line(&mut self, line: &str) -> Result<()> {
        writeln!(self.out, "{line}").map_err(|error| Failure::output(&error))
    }

    /// One JSON object on a line of its own.
    pub(crate) fn json(&mut self, object: &impl Serialize) -> Result<()> {
        let line = serde_json::to_string(object);
        self.line(&line.map_err(|error| Failure::Other(error.to_string()))?)
    }

    pub(crate) fn item(&mut self, item: &Item<KeyBytes, Bytes>) -> Result<()> {
        self.json(&JsonItem {
            index: item.index,
            key: hex::encode(&item.key),
            value: hex::encode(&item.value),
        })
    }

    /// Writes what waits.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.out.flush().map_err(|error| Failure::output(&error))
    }

    pub(crate) fn finish(mut self) -> Result<()> {
        self.flush()
    }
}

/// Bytes in a unit that a person reads.
pub(crate) fn human(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

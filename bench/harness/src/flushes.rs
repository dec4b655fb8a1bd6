//! Counts the calls that flush.

use anyhow::Result;
use clap::Args;

use crate::Engines;

#[derive(Args)]
pub(crate) struct Flushes {
    #[command(flatten)]
    engines: Engines,
}

impl Flushes {
    pub(crate) fn run(self) -> Result<()> {
        let _ = self.engines;
        Ok(())
    }
}

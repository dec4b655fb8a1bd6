use anyhow::Result;
use clap::Args;

#[derive(Args)]
pub(crate) struct Report {}

impl Report {
    pub(crate) fn run(self) -> Result<()> {
        Ok(())
    }
}

//! Writes a page with tables, plots and losses of what runs gave.

mod losses;
mod page;
mod plots;
mod targets;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;

use crate::results::Results;

#[derive(Args)]
pub(crate) struct Report {
    /// What runs wrote; workloads of a later file replace those of an earlier one
    #[arg(required = true)]
    json: Vec<PathBuf>,
    /// Why quipu loses where it does
    #[arg(long, default_value = "bench/reasons.toml")]
    reasons: PathBuf,
    /// What quipu is to reach
    #[arg(long, default_value = "bench/targets.toml")]
    targets: PathBuf,
    /// The page; its plots and figures go to a folder beside it of the same name. `notes.md` there is what somebody has to
    /// say of these runs, and comes before the tables
    #[arg(long, default_value = "docs/performance.md")]
    page: PathBuf,
}

impl Report {
    pub(crate) fn run(self) -> Result<()> {
        let mut all: Option<Results> = None;
        for path in &self.json {
            let more = Results::read(path)?;
            match &mut all {
                Some(all) => all.merge(more),
                None => all = Some(more),
            }
        }
        let results = all.context("no file was given")?;
        let reasons = losses::Reasons::read(&self.reasons)?;
        let targets = targets::Targets::read(&self.targets)?;
        let folder = self.page.with_extension("");
        results.write(&folder.join("results.json"))?;
        let plots = plots::draw(&results, &folder)?;
        let notes = folder.join("notes.md");
        let notes = match notes.exists() {
            true => fs::read_to_string(&notes).with_context(|| notes.display().to_string())?,
            false => String::new(),
        };
        let page = page::page(&results, &notes, &reasons, &targets, &plots)?;
        fs::write(&self.page, page).with_context(|| self.page.display().to_string())
    }
}

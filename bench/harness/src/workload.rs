//! What is put and read.

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

/// How much of what.
#[derive(Args, Clone, Debug, Deserialize, Serialize)]
pub struct Workload {
    /// Another way to drive the engine, where it has one; see `Engine::VARIANTS`
    #[arg(long)]
    pub variant: Option<String>,
    /// How many items
    #[arg(long, default_value_t = Workload::default().items)]
    pub items: u64,
    /// Bytes of a value
    #[arg(long, default_value_t = Workload::default().value_size)]
    pub value_size: usize,
    /// Items of one put and flush
    #[arg(long, default_value_t = Workload::default().batch)]
    pub batch: u64,
    /// Random look-ups of each kind
    #[arg(long, default_value_t = Workload::default().gets)]
    pub gets: u64,
    /// Items that stay when an archive is pruned as it is put to
    #[arg(long, default_value_t = Workload::default().window)]
    pub window: u64,
    /// Indices of one section, for engines that have sections
    #[arg(long, default_value_t = Workload::default().items_per_section)]
    pub items_per_section: u64,
    /// Bytes of the cache, for engines that have one
    #[arg(long, default_value_t = Workload::default().cache)]
    pub cache: usize,
}

impl Default for Workload {
    fn default() -> Self {
        Self {
            variant: None,
            items: 1_000_000,
            value_size: 256,
            batch: 1_000,
            gets: 1_000_000,
            window: 1_000_000,
            items_per_section: 65_536,
            cache: 64 << 20,
        }
    }
}

impl Workload {
    /// The arguments that stand for it on a command line.
    pub fn arguments(&self) -> Vec<String> {
        [
            ("--items", self.items),
            ("--value-size", self.value_size as u64),
            ("--batch", self.batch),
            ("--gets", self.gets),
            ("--window", self.window),
            ("--items-per-section", self.items_per_section),
            ("--cache", self.cache as u64),
        ]
        .into_iter()
        .flat_map(|(name, value)| [name.to_owned(), value.to_string()])
        .chain(self.variant.iter().map(|name| format!("--variant={name}")))
        .collect()
    }
}

/// What one process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize, Serialize)]
pub enum Phase {
    /// Creates the archive and puts all items, a flush a batch; closes it
    Put,
    /// The same in random order
    Backfill,
    /// The same, and ends by a kill signal right after the last batch
    PutKilled,
    /// Opens it after a clean end, and looks whether the newest items are there
    Reopen,
    /// The same after a kill
    ReopenKilled,
    /// Opens it and reads
    Get,
    /// Opens it after the system's caches were dropped, and reads by key
    Cold,
    /// Drops the older half
    Prune,
    /// Puts and prunes in step, over the course of all items
    Ring,
    /// Puts alone, reads alone, then puts with eight readers beside
    Readers,
    /// One put and one flush, beside a bare append and flush
    Single,
    /// One task that waits for each of its puts to be durable, then 64 of them
    Tasks,
    /// Puts one by one while another thread flushes
    Latency,
}

impl Phase {
    /// Whether it starts with an empty folder; the others start where the one before ended.
    pub fn begins_anew(self) -> bool {
        !matches!(
            self,
            Self::Reopen | Self::ReopenKilled | Self::Get | Self::Cold | Self::Prune
        )
    }

    /// As the command line calls it.
    pub fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

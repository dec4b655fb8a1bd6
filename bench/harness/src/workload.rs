//! What is put and read.

use clap::{Args, ValueEnum};

/// How much of what.
#[derive(Args, Clone, Debug)]
pub struct Workload {
    /// How many items
    #[arg(long, default_value_t = 1_000_000)]
    pub items: u64,
    /// Bytes of a value
    #[arg(long, default_value_t = 256)]
    pub value_size: usize,
    /// Items of one put and flush
    #[arg(long, default_value_t = 1_000)]
    pub batch: u64,
    /// Random look-ups of each kind
    #[arg(long, default_value_t = 1_000_000)]
    pub gets: u64,
    /// Indices of one section, for engines that have sections
    #[arg(long, default_value_t = 65_536)]
    pub items_per_section: u64,
    /// Bytes of the cache, for engines that have one
    #[arg(long, default_value_t = 64 << 20)]
    pub cache: usize,
}

impl Workload {
    /// The arguments that stand for it on a command line.
    pub fn arguments(&self) -> Vec<String> {
        [
            ("--items", self.items),
            ("--value-size", self.value_size as u64),
            ("--batch", self.batch),
            ("--gets", self.gets),
            ("--items-per-section", self.items_per_section),
            ("--cache", self.cache as u64),
        ]
        .into_iter()
        .flat_map(|(name, value)| [name.to_owned(), value.to_string()])
        .collect()
    }
}

/// What one process does; each begins where the one before it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Phase {
    /// Creates the archive and puts all items, a flush a batch
    Put,
    /// Opens it and reads
    Get,
    /// Drops the older half
    Prune,
}

impl Phase {
    pub const ALL: [Phase; 3] = [Phase::Put, Phase::Get, Phase::Prune];
}

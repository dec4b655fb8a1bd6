//! Fuzzing without libFuzzer: the corpus, then inputs that a seed makes, half of them from scratch
//! and half by changing what the corpus has.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::{Target, run};

/// The longest input that is made, in bytes.
const MOST_BYTES: u64 = 600;
/// A run that takes longer counts as one that does not end.
const MOST_TIME: Duration = Duration::from_secs(60);

/// Pseudo-random numbers (SplitMix64).
#[derive(Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.number() % end.max(1)
    }

    fn input(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let from = corpus.get(self.below(corpus.len() as u64) as usize);
        let mut bytes = match from.filter(|_| self.below(2) == 0) {
            Some(bytes) => bytes.clone(),
            None => (0..self.below(MOST_BYTES))
                .map(|_| self.number() as u8)
                .collect(),
        };
        for _ in 0..self.below(6) {
            let at = self.below(bytes.len() as u64 + 1) as usize;
            match self.below(4) {
                0 => bytes.insert(at, self.number() as u8),
                1 => bytes.truncate(at.max(bytes.len() / 2)),
                _ => {
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte = self.number() as u8;
                    }
                }
            }
        }
        bytes
    }
}

/// An input at which a target panicked, or took too long.
#[derive(Debug)]
pub struct Find {
    /// How many inputs were run before it.
    pub after: u64,
    /// The input.
    pub input: Vec<u8>,
}

/// Runs the corpus of a target and then `inputs` inputs of a seed; the first find.
pub fn search(target: Target, seed: u64, inputs: u64) -> Option<Find> {
    let corpus = corpus(target);
    let mut random = Random(seed);
    let made = (0..inputs).map(|_| random.input(&corpus));
    let all = corpus.iter().cloned().chain(made);
    for (after, input) in (0..).zip(all) {
        let started = Instant::now();
        let ended = catch_unwind(AssertUnwindSafe(|| run(target, &input)));
        if ended.is_err() || started.elapsed() > MOST_TIME {
            return Some(Find { after, input });
        }
    }
    None
}

/// The inputs that are kept for a target, in the order of their names.
pub fn corpus(target: Target) -> Vec<Vec<u8>> {
    let folder = folder("corpus").join(target.name());
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
        .iter()
        .filter_map(|path| std::fs::read(path).ok())
        .collect()
}

/// Keeps the input of a find where libFuzzer keeps its own; where that is.
pub fn keep(target: Target, find: &Find) -> std::io::Result<PathBuf> {
    let folder = folder("artifacts").join(target.name());
    std::fs::create_dir_all(&folder)?;
    let path = folder.join(format!("find-{}", find.after));
    std::fs::write(&path, &find.input)?;
    Ok(path)
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

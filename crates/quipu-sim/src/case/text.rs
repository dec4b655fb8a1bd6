//! Steps as words.

use std::fmt;
use std::str::{FromStr, SplitWhitespace};

use quipu::storage::simulated::{Fault, Survival};

use super::step::{Again, Blob, Crash, Damage, Kind, Put, Step, When};

/// Names of values that have no text of their own.
const FAULTS: [(Fault, &str); 10] = [
    (Fault::ErrorBefore, "error-before"),
    (Fault::ErrorAfter, "error-after"),
    (Fault::ShortWrite, "short-write"),
    (Fault::NoSpace, "no-space"),
    (Fault::FlushFails, "flush-fails"),
    (Fault::ReadError, "read-error"),
    (Fault::FlippedBit, "flipped-bit"),
    (Fault::ZeroedBlock, "zeroed-block"),
    (Fault::StaleBlock, "stale-block"),
    (Fault::Unreadable, "unreadable"),
];
const SURVIVALS: [(Survival, &str); 6] = [
    (Survival::Bytes, "bytes"),
    (Survival::Sectors, "sectors"),
    (Survival::Prefix, "prefix"),
    (Survival::All, "all"),
    (Survival::Nothing, "none"),
    (Survival::Memory, "memory"),
];
const WHENS: [(When, &str); 2] = [(When::Before, "before"), (When::After, "after")];
const KINDS: [(Kind, &str); 3] = [
    (Kind::Flip, "flip"),
    (Kind::Zero, "zero"),
    (Kind::Stale, "stale"),
];
const BLOBS: [(Blob, &str); 6] = [
    (Blob::Index, "index"),
    (Blob::Values, "values"),
    (Blob::Marks, "marks"),
    (Blob::Manifest, "manifest"),
    (Blob::Tables, "tables"),
    (Blob::Log, "log"),
];

fn name<T: PartialEq>(of: &T, names: &[(T, &'static str)]) -> &'static str {
    let found = names.iter().find(|(value, _)| value == of);
    found.map_or("?", |(_, name)| name)
}

impl fmt::Display for Put {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.index, self.number, self.len)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Put { put, multi, sync } => {
                let verb = if *multi { "multi" } else { "put" };
                let sync = if *sync { "_sync" } else { "" };
                write!(f, "{verb}{sync} {put}")
            }
            Self::Batch(puts) => {
                write!(f, "batch")?;
                puts.iter().try_for_each(|put| write!(f, " {put}"))
            }
            Self::Sync => write!(f, "sync"),
            Self::Prune(min) => write!(f, "prune {min}"),
            Self::Rewind(index) => write!(f, "rewind {index}"),
            Self::Close { zstd, buffer, log } => {
                write!(f, "close")?;
                if let Some(zstd) = zstd {
                    write!(f, " zstd={}", u8::from(*zstd))?;
                }
                buffer.map_or(Ok(()), |bytes| write!(f, " buffer={bytes}"))?;
                log.map_or(Ok(()), |bytes| write!(f, " log={bytes}"))
            }
            Self::Drop => write!(f, "drop"),
            Self::Destroy => write!(f, "destroy"),
            Self::Adopt { cut: 0 } => write!(f, "adopt"),
            Self::Adopt { cut } => write!(f, "adopt {cut}"),
            Self::Read => write!(f, "read"),
            Self::Beside => write!(f, "beside"),
            Self::Scrub(bytes) => write!(f, "scrub {bytes}"),
            Self::Fault { after, fault } => write!(f, "fault {after} {}", name(fault, &FAULTS)),
            Self::Full(bytes) => write!(f, "full {bytes}"),
            Self::Space => write!(f, "space"),
            Self::Damage(damage) => {
                let (kind, blob) = (name(&damage.kind, &KINDS), name(&damage.blob, &BLOBS));
                write!(f, "damage {kind} {blob} {} {}", damage.pick, damage.at)
            }
            Self::Crash(crash) => write!(f, "{crash}"),
        }
    }
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = Again {
            after: self.after,
            when: self.when,
            survival: self.survival,
            seed: self.seed,
        };
        write!(f, "crash {first}")?;
        self.again
            .iter()
            .try_for_each(|again| write!(f, " again {again}"))
    }
}

impl fmt::Display for Again {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (when, survival) = (name(&self.when, &WHENS), name(&self.survival, &SURVIVALS));
        write!(f, "{} {when} {survival} {}", self.after, self.seed)
    }
}

impl FromStr for Step {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = Words(text.split_whitespace());
        let step = words.step();
        let step = step.filter(|_| words.0.next().is_none());
        step.ok_or_else(|| format!("{:?} is no step", text.trim()))
    }
}

/// The words of one step.
struct Words<'a>(SplitWhitespace<'a>);

impl Words<'_> {
    fn step(&mut self) -> Option<Step> {
        let verb = self.0.next()?;
        Some(match verb {
            "put" | "multi" | "put_sync" | "multi_sync" => Step::Put {
                put: self.put()?,
                multi: verb.starts_with("multi"),
                sync: verb.ends_with("_sync"),
            },
            "batch" => {
                let mut puts = vec![self.put()?];
                while self.0.clone().next().is_some() {
                    puts.push(self.put()?);
                }
                Step::Batch(puts)
            }
            "sync" => Step::Sync,
            "prune" => Step::Prune(self.number()?),
            "rewind" => Step::Rewind(self.number()?),
            "close" => self.close()?,
            "drop" => Step::Drop,
            "destroy" => Step::Destroy,
            "adopt" => Step::Adopt {
                cut: self.number().unwrap_or(0),
            },
            "read" => Step::Read,
            "beside" => Step::Beside,
            "scrub" => Step::Scrub(self.number()?),
            "fault" => Step::Fault {
                after: self.number()?,
                fault: self.named(&FAULTS)?,
            },
            "full" => Step::Full(self.number()?),
            "space" => Step::Space,
            "damage" => Step::Damage(Damage {
                kind: self.named(&KINDS)?,
                blob: self.named(&BLOBS)?,
                pick: self.number()?,
                at: self.number()?,
            }),
            "crash" => Step::Crash(self.crash()?),
            _ => return None,
        })
    }

    fn number<T: FromStr>(&mut self) -> Option<T> {
        self.0.next()?.parse().ok()
    }

    fn named<T: Copy>(&mut self, names: &[(T, &'static str)]) -> Option<T> {
        let word = self.0.next()?;
        let found = names.iter().find(|(_, name)| *name == word);
        found.map(|&(value, _)| value)
    }

    fn put(&mut self) -> Option<Put> {
        Some(Put {
            index: self.number()?,
            number: self.number()?,
            len: self.number()?,
        })
    }

    fn close(&mut self) -> Option<Step> {
        let (mut zstd, mut buffer, mut log) = (None, None, None);
        for word in self.0.by_ref() {
            match word.split_once('=')? {
                ("zstd", "0") => zstd = Some(false),
                ("zstd", "1") => zstd = Some(true),
                ("buffer", bytes) => buffer = Some(bytes.parse().ok()?),
                ("log", bytes) => log = Some(bytes.parse().ok()?),
                _ => return None,
            }
        }
        Some(Step::Close { zstd, buffer, log })
    }

    fn crash(&mut self) -> Option<Crash> {
        let first = self.again()?;
        let mut again = Vec::new();
        while let Some(word) = self.0.next() {
            again.push((word == "again").then(|| self.again())??);
        }
        Some(Crash {
            after: first.after,
            when: first.when,
            survival: first.survival,
            seed: first.seed,
            again,
        })
    }

    fn again(&mut self) -> Option<Again> {
        Some(Again {
            after: self.number()?,
            when: self.named(&WHENS)?,
            survival: self.named(&SURVIVALS)?,
            seed: self.number()?,
        })
    }
}

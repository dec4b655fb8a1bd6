//! A case: one run of the simulator, as data.
//!
//! ```text
//! items=7 page=50 layout=1 cap=1 zstd=0 buffer=64 | put 5 1 20 | sync | crash 3 before bytes 9 | sync
//! └ settings of the archive ───────────────────┘   └ steps, one after the other ──────────────┘
//! ```
//!
//! A case says everything that happens: each put with index, number and length, each fault and
//! crash with the storage call that it hits, each recovery that is stopped again. So it runs the
//! same whenever it is run, and a shorter one can be tried by leaving steps out. A step that makes
//! something happen at a call counts the calls from that step on: what comes before it may be left
//! out without moving it.
//!
//! The text form is what the program prints for a failure, and takes back with `--replay`.

mod settings;
mod step;
mod text;

use std::fmt;
use std::str::FromStr;

pub use settings::Settings;
pub use step::{Again, Blob, Crash, Damage, Kind, Put, Step, When};

/// One run of the simulator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// How the archive is made.
    pub settings: Settings,
    /// What happens.
    pub steps: Vec<Step>,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.settings)?;
        for step in &self.steps {
            write!(f, " | {step}")?;
        }
        Ok(())
    }
}

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split('|');
        let settings = parts.next().unwrap_or_default().parse()?;
        let steps = parts.map(str::parse).collect::<Result<_, _>>()?;
        Ok(Self { settings, steps })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "items=7 page=50 layout=0 cap=1 zstd=1 buffer=64 twin=1 | put 5 1 20 | \
        multi 5 2 0 | put_sync 6 3 1 | multi_sync 6 4 1 | batch 7 5 9 8 6 0 | sync | prune 7 | \
        rewind 6 | close | close zstd=0 buffer=1 log=17000 | drop | destroy | adopt | adopt 30 | read | beside | \
        fault 3 short-write | full 100 | space | damage flip values 1 77 | \
        crash 12 after bytes 9 again 3 before none 4 again 0 after all 1";

    #[test]
    fn text_there_and_back() {
        let case: Case = TEXT.parse().unwrap();
        assert_eq!(case.to_string(), TEXT);
        assert_eq!(case.steps.len(), 21);
    }

    #[test]
    fn what_is_no_case_says_where() {
        for (bad, hint) in [
            ("items=0 | sync", "items=0"),
            ("itms=3 | sync", "itms=3"),
            ("items=3 | snc", "snc"),
            ("items=3 | put 1", "put 1"),
            ("items=3 | put 1 2 3 4", "put 1 2 3 4"),
            ("items=3 | crash 1 before some 4", "some"),
        ] {
            let error = bad.parse::<Case>().unwrap_err();
            assert!(error.contains(hint), "{error}");
        }
    }
}

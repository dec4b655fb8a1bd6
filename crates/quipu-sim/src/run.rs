//! Running one case.

use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use quipu::PageCache;

use crate::case::Case;
use crate::world::{Counts, World};

/// Bytes of the page cache that all archives of a case share: a few pages.
pub(crate) const CACHE_BYTES: usize = 1 << 14;
/// Added to the numbers of the puts of the second archive.
const TWIN_SHIFT: u32 = 100_000_000;
/// The seed of a case's machines. Their faults have no other chance than where in a write they hit.
pub(crate) const MACHINE_SEED: u64 = 0x51;

/// A case that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The number of the step, from 0; that of the steps where it failed behind the last.
    pub step: usize,
    /// What was wrong.
    pub what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}: {}", self.step, self.what)
    }
}

/// What a case that went well did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// In numbers.
    pub counts: Counts,
    /// One value for every call of the storage.
    pub log_hash: u64,
}

/// Runs a case. A panic of the library fails it.
pub fn run(case: &Case) -> Result<Done, Failure> {
    let step = Cell::new(0);
    let failure = |what| Failure {
        step: step.get(),
        what,
    };
    let mut run = Ok(Done::default());
    let done = quiet_unwind(|| run = run_steps(case, &step));
    done.map_err(failure)?;
    run.map_err(failure)
}

fn run_steps(case: &Case, at: &Cell<usize>) -> Result<Done, String> {
    quipu::seed_random_numbers(Some(MACHINE_SEED));
    let cache = PageCache::new(CACHE_BYTES);
    let world = |shift| World::new(case.settings.clone(), MACHINE_SEED, shift, cache.clone());
    let mut worlds = vec![world(0)];
    if case.settings.twin {
        worlds.push(world(TWIN_SHIFT));
    }
    for (number, step) in case.steps.iter().enumerate() {
        at.set(number);
        worlds.iter_mut().try_for_each(|world| world.step(step))?;
    }
    at.set(case.steps.len());
    let mut done = Done::default();
    for world in &mut worlds {
        world.finish()?;
        done.counts.add(world.counts);
        done.log_hash = done.log_hash.rotate_left(17) ^ world.log_hash();
    }
    quipu::seed_random_numbers(None);
    Ok(done)
}

thread_local! {
    /// Whether panics of this thread are caught and told by whoever catches them.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs a closure; the text of its panic, without the usual print.
pub fn quiet_unwind<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                loud(info);
            }
        }));
    });
    let before = QUIET.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    QUIET.set(before);
    done.map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        format!("panic: {}", text.unwrap_or("of unknown text"))
    })
}

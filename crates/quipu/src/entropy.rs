//! Random numbers: the operating system's; in a simulation those of its seed.

use crate::error::{Error, Result};

/// Fills the bytes with random numbers.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<()> {
    #[cfg(feature = "simulated")]
    if seeded::fill(bytes) {
        return Ok(());
    }
    getrandom::fill(bytes)
        .map_err(|error| Error::io("read", "the system's random numbers", error.into()))
}

/// A random number, never 0.
pub(crate) fn number() -> Result<u64> {
    let mut bytes = [0; 8];
    fill(&mut bytes)?;
    Ok(u64::from_be_bytes(bytes).max(1))
}

/// Whether this thread runs a simulation: nothing of the process may then be in what it writes.
pub(crate) fn is_simulated() -> bool {
    #[cfg(feature = "simulated")]
    return seeded::is_on();
    #[cfg(not(feature = "simulated"))]
    false
}

#[cfg(feature = "simulated")]
pub(crate) mod seeded {
    use std::cell::Cell;

    thread_local!(static STATE: Cell<Option<u64>> = const { Cell::new(None) });

    /// From now on archives that this thread creates take their random numbers (their id, the seed
    /// of their translator) from `seed`, and their lock does not name the process, so that two runs
    /// of one simulation write the same bytes; `None` goes back to the system's.
    pub fn seed_random_numbers(seed: Option<u64>) {
        STATE.set(seed);
    }

    pub(super) fn is_on() -> bool {
        STATE.get().is_some()
    }

    /// Whether the bytes were filled.
    pub(super) fn fill(bytes: &mut [u8]) -> bool {
        let Some(mut state) = STATE.get() else {
            return false;
        };
        for byte in bytes {
            // A linear congruential generator (Knuth's MMIX); its upper bits are good enough for ids.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            *byte = (state >> 56) as u8;
        }
        STATE.set(Some(state));
        true
    }
}

//! A scrub on a thread of its own, at a byte rate.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Scrub;
use crate::error::{Error, Result};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::thread::{self, JoinHandle};

/// Steps a second; each is between these bytes.
const STEPS_PER_SECOND: u64 = 8;
const MIN_STEP_BYTES: u64 = 4096;
const MAX_STEP_BYTES: u64 = 1 << 20;

/// A scrub that runs on a thread of its own. Dropping it stops the thread and waits for it.
#[derive(Debug)]
pub struct ScrubHandle {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Scrub {
    /// Goes on in a thread of its own, at the rate of the options, until the handle or the archive
    /// goes, or as many passes have ended as the options say. Waiting takes no time of a processor.
    pub fn spawn(self) -> Result<ScrubHandle> {
        let stop = Arc::new(AtomicBool::new(false));
        let path = self.shared.path();
        let thread = thread::Builder::new().name("quipu-scrub".to_owned());
        let thread = thread.spawn({
            let stop = Arc::clone(&stop);
            move || self.run(&stop)
        });
        Ok(ScrubHandle {
            stop,
            thread: Some(thread.map_err(|error| Error::io("start a thread for", path, error))?),
        })
    }

    fn run(mut self, stop: &AtomicBool) -> Result<()> {
        if let Some(mut gate) = self.shared.scrub.enter() {
            gate.sleeper = Some(thread::current());
        }
        let bytes_per_second = self.options.bytes_per_second;
        let step = (bytes_per_second / STEPS_PER_SECOND).clamp(MIN_STEP_BYTES, MAX_STEP_BYTES);
        let mut rate = Rate::new(bytes_per_second);
        let mut passes = self.options.passes;
        let mut last = Instant::now();
        while passes != Some(0) {
            if stop.load(Ordering::Acquire) {
                break;
            }
            let progress = match self.step(step) {
                // The archive is closed, and the scrub with it.
                Err(Error::Closed { .. }) => break,
                other => other?,
            };
            let now = Instant::now();
            let pause = rate.pause(progress.checked, now.duration_since(last));
            last = now;
            if progress.pass_ended {
                passes = passes.map(|left| left - 1);
            }
            match progress.pass_ended {
                true if passes == Some(0) => break,
                true => self.sleep(stop, self.options.rest),
                false => self.sleep(stop, pause),
            }
        }
        Ok(())
    }

    fn sleep(&self, stop: &AtomicBool, pause: Duration) {
        let began = Instant::now();
        // Whoever stops it says so first and unparks then; a park may end for no reason too.
        while !stop.load(Ordering::Acquire) && !self.shared.scrub.is_closing() {
            match pause.checked_sub(began.elapsed()) {
                Some(left) if !left.is_zero() => thread::park_timeout(left),
                _ => return,
            }
        }
    }
}

impl ScrubHandle {
    /// Whether the thread has ended: all passes are done, the archive is closed, or an error came.
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits until the thread ends by itself; the error that ended it, if one did.
    pub fn join(mut self) -> Result<()> {
        self.wait()
    }

    /// Stops the thread, within one step; the error that ended it before, if one did.
    pub fn stop(mut self) -> Result<()> {
        self.halt();
        self.wait()
    }

    fn halt(&self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    fn wait(&mut self) -> Result<()> {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(ended)) => ended,
            // The callback panicked: that goes on where it is waited for.
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Ok(()),
        }
    }
}

impl Drop for ScrubHandle {
    fn drop(&mut self) {
        self.halt();
        if let Some(thread) = self.thread.take() {
            // Nobody is left to tell.
            let _ = thread.join();
        }
    }
}

/// How long to wait so that bytes go by at a rate, and no faster.
#[derive(Debug)]
struct Rate {
    bytes_per_second: u64,
    /// The time that the bytes so far should have taken and did not.
    ahead: Duration,
}

impl Rate {
    fn new(bytes_per_second: u64) -> Self {
        Self {
            bytes_per_second,
            ahead: Duration::ZERO,
        }
    }

    /// How long to wait now. So many bytes went by since the last call, which was so long ago. Time
    /// in which nothing was done is not made up for later.
    fn pause(&mut self, bytes: u64, elapsed: Duration) -> Duration {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second.max(1));
        let worth = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.ahead = self.ahead.saturating_add(worth).saturating_sub(elapsed);
        self.ahead
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs on a clock that only waiting and the steps move; bytes a second on the whole.
    fn measured(rate: u64, steps: &[(u64, Duration)]) -> f64 {
        let mut of = Rate::new(rate);
        let (mut clock, mut bytes, mut pause) = (Duration::ZERO, 0, Duration::ZERO);
        for &(step, took) in steps {
            bytes += step;
            clock += took;
            pause = of.pause(step, pause + took);
            clock += pause;
        }
        bytes as f64 / clock.as_secs_f64()
    }

    #[test]
    fn bytes_go_by_at_the_rate() {
        let fast = vec![(1000, Duration::from_micros(5)); 1000];
        let found = measured(50_000, &fast);
        assert!((found - 50_000.0).abs() < 1.0, "{found}");
        let uneven: Vec<_> = (0..1000)
            .map(|n| (n % 7 * 900, Duration::from_millis(n % 3)))
            .collect();
        let found = measured(100_000, &uneven);
        assert!(found <= 100_001.0 && found > 90_000.0, "{found}");
    }

    #[test]
    fn a_slow_disk_is_not_made_up_for() {
        let mut rate = Rate::new(1000);
        assert_eq!(rate.pause(100, Duration::from_secs(9)), Duration::ZERO);
        assert_eq!(rate.pause(100, Duration::ZERO), Duration::from_millis(100));
        assert_eq!(
            Rate::new(1).pause(u64::MAX, Duration::ZERO).as_nanos(),
            u64::MAX.into()
        );
    }
}

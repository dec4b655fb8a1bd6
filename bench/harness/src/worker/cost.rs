//! What something costs: time, CPU time of all threads, instructions where the system counts them.

use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use cpu_time::ProcessTime;
use perf_event::events::Hardware;
use perf_event::{Builder, Counter};

use super::Worker;

static INSTRUCTIONS: OnceLock<Option<Mutex<Counter>>> = OnceLock::new();

/// To be called before there are threads, so that all of them are counted.
pub(super) fn count_instructions() {
    INSTRUCTIONS.get_or_init(|| {
        let mut builder = Builder::new().kind(Hardware::INSTRUCTIONS);
        builder.inherit(true);
        let mut counter = builder.build().ok()?;
        counter.enable().ok()?;
        Some(Mutex::new(counter))
    });
}

/// None where the machine or its rules do not let them be counted.
fn instructions() -> Option<u64> {
    INSTRUCTIONS.get()?.as_ref()?.lock().ok()?.read().ok()
}

/// When something began.
pub(super) struct Started {
    clock: Instant,
    cpu: ProcessTime,
    instructions: Option<u64>,
}

pub(super) fn start() -> Started {
    Started {
        clock: Instant::now(),
        cpu: ProcessTime::now(),
        instructions: instructions(),
    }
}

impl Started {
    pub(super) fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    /// Of all threads of the process, those behind the scenes too.
    pub(super) fn cpu(&self) -> Duration {
        self.cpu.elapsed()
    }

    pub(super) fn instructions(&self) -> Option<u64> {
        Some(instructions()?.saturating_sub(self.instructions?))
    }
}

impl Worker {
    /// Reports so many of something since it began; the rate.
    pub(super) fn rate(&mut self, what: &str, count: u64, started: &Started) -> f64 {
        let rate = count as f64 / started.clock.elapsed().as_secs_f64();
        let cpu = started.cpu().as_nanos() as f64 / count as f64;
        self.report.higher(format!("{what}/s"), rate);
        self.report.lower(format!("{what} CPU ns"), cpu);
        if let Some(instructions) = started.instructions() {
            let each = instructions as f64 / count as f64;
            self.report.lower(format!("{what} instructions"), each);
        }
        rate
    }
}

//! Drops the older half: how long the call takes, how much of the disk is free, and when.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::Worker;
use crate::engine::Engine;
use crate::measures::disk_bytes;

/// For so long nothing more may have become free.
const QUIET: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(10);

impl Worker {
    pub(super) fn prune<E: Engine>(&mut self) -> Result<()> {
        let engine = self.open::<E>()?;
        let before = disk_bytes(&self.dir)?;
        let started = Instant::now();
        engine.prune(self.workload.items / 2)?;
        let took = started.elapsed().as_secs_f64() * 1e3;
        let freed = |after: u64| (before as f64 - after as f64) * 200.0 / before as f64;
        let mut left = disk_bytes(&self.dir)?;
        self.report.lower("prune half ms", took);
        self.report.higher("freed % of half", freed(left));
        let (mut settled, mut least) = (took, left);
        let mut quiet = Instant::now();
        while quiet.elapsed() < QUIET && started.elapsed() < LONGEST {
            std::thread::sleep(Duration::from_millis(20));
            left = disk_bytes(&self.dir)?;
            if left < least {
                (settled, least) = (started.elapsed().as_secs_f64() * 1e3, left);
                quiet = Instant::now();
            }
        }
        self.report
            .higher("freed % of half, in the end", freed(least));
        if least < before {
            self.report.lower("freed after ms", settled);
        }
        ensure!(engine.get(self.workload.items - 1, &mut |_| ())?);
        engine.close()
    }
}

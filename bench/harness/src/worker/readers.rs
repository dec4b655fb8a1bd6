//! Eight readers beside a writer at full speed.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use anyhow::Result;
use hdrhistogram::Histogram;

use super::{Puts, Worker};
use crate::engine::Engine;
use crate::items::mix;

const READERS: u64 = 8;

impl Worker {
    /// A third of the items is there before, a third is put alone, a third beside the readers.
    pub(super) fn readers<E: Engine>(&mut self) -> Result<()> {
        let engine = self.open::<E>()?;
        let third = self.workload.items / 3;
        let written = AtomicU64::new(0);
        self.put_some(&engine, &written, 0..third)?;
        let alone = self.put_some(&engine, &written, third..2 * third)?;
        let stop = AtomicBool::new(false);
        let (beside, latencies, seconds) = std::thread::scope(|scope| {
            let (worker, engine, written, stop) = (&*self, &engine, &written, &stop);
            let readers: Vec<_> = (0..READERS)
                .map(|reader| scope.spawn(move || worker.read_until(engine, reader, written, stop)))
                .collect();
            let started = Instant::now();
            let beside = worker.put_some(engine, written, 2 * third..3 * third);
            let seconds = started.elapsed().as_secs_f64();
            stop.store(true, Ordering::Relaxed);
            let mut latencies = Histogram::<u64>::new(3)?;
            for reader in readers {
                latencies.add(super::joined(reader)??)?;
            }
            anyhow::Ok((beside?, latencies, seconds))
        })?;
        self.report.higher("alone put/s", alone.rate());
        self.report.higher("beside 8 readers put/s", beside.rate());
        self.report
            .quantiles("beside 8 readers batch", &beside.latencies);
        self.report
            .higher("8 readers get by key/s", latencies.len() as f64 / seconds);
        self.report.quantiles("8 readers get by key", &latencies);
        engine.close()
    }

    fn put_some<E: Engine>(
        &self,
        engine: &E,
        written: &AtomicU64,
        range: std::ops::Range<u64>,
    ) -> Result<Puts> {
        let mut puts = Puts::new()?;
        for first in range.clone().step_by(self.workload.batch as usize) {
            let end = range.end.min(first + self.workload.batch);
            puts.put(engine, self, first..end)?;
            written.store(end, Ordering::Release);
        }
        Ok(puts)
    }

    /// Random items of all that are there.
    fn read_until<E: Engine>(
        &self,
        engine: &E,
        reader: u64,
        written: &AtomicU64,
        stop: &AtomicBool,
    ) -> Result<Histogram<u64>> {
        let mut latencies = Histogram::<u64>::new(3)?;
        for n in reader << 40.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let index = mix(n) % written.load(Ordering::Acquire);
            let started = Instant::now();
            self.get_one_by_key(engine, index)?;
            latencies.record(started.elapsed().as_nanos() as u64)?;
        }
        Ok(latencies)
    }
}

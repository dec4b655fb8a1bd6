//! Eight readers beside a writer at full speed.
//!
//! There are more threads than cores, so the writer's rate alone tells of the system's scheduler. So
//! its time is also told without that in which it was ready and had no core, and its rate for each
//! second of CPU time: a writer that waits for readers' locks shows in the first, one that does more
//! beside them in the second.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use cpu_time::ThreadTime;
use hdrhistogram::Histogram;

use super::Worker;
use super::puts::Puts;
use crate::engine::Engine;
use crate::items::mix;
use crate::measures::waited_for_core;

const READERS: u64 = 8;
/// How long readers read without a writer.
const ALONE: Duration = Duration::from_secs(2);

/// What readers read from, and till when.
struct Shared {
    written: AtomicU64,
    stop: AtomicBool,
}

/// What all readers did.
struct Reads {
    latencies: Histogram<u64>,
    cpu: Duration,
    seconds: f64,
}

/// What the writer did.
struct Written {
    puts: Puts,
    /// Of all threads.
    cpu: Duration,
    no_core: Duration,
}

impl Worker {
    /// A third of the items is there before, a third is put alone, a third beside the readers.
    pub(super) fn readers<E: Engine>(&mut self) -> Result<()> {
        let engine = self.open::<E>()?;
        let shared = Shared {
            written: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        };
        let third = self.workload.items / 3;
        self.put_some(&engine, &shared, 0..third)?;
        let alone = self.put_some(&engine, &shared, third..2 * third)?;
        let (_, reads) = self.beside_readers(&engine, &shared, || {
            std::thread::sleep(ALONE);
            Ok(())
        })?;
        self.report_reads("8 readers alone", &reads);
        let (beside, reads) = self.beside_readers(&engine, &shared, || {
            self.put_some(&engine, &shared, 2 * third..3 * third)
        })?;
        self.report_reads("8 readers", &reads);
        self.report_writer(&alone, &beside, reads.cpu);
        engine.close()
    }

    fn beside_readers<E: Engine, T>(
        &self,
        engine: &E,
        shared: &Shared,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<(T, Reads)> {
        shared.stop.store(false, Ordering::Relaxed);
        std::thread::scope(|scope| {
            let readers: Vec<_> = (0..READERS)
                .map(|reader| scope.spawn(move || self.read_until(engine, reader, shared)))
                .collect();
            let started = Instant::now();
            let done = work();
            let seconds = started.elapsed().as_secs_f64();
            shared.stop.store(true, Ordering::Relaxed);
            let (mut latencies, mut cpu) = (Histogram::<u64>::new(3)?, Duration::ZERO);
            for reader in readers {
                let of_one = super::joined(reader)??;
                latencies.add(of_one.0)?;
                cpu += of_one.1;
            }
            let reads = Reads {
                latencies,
                cpu,
                seconds,
            };
            Ok((done?, reads))
        })
    }

    fn put_some<E: Engine>(
        &self,
        engine: &E,
        shared: &Shared,
        range: Range<u64>,
    ) -> Result<Written> {
        let mut puts = Puts::new()?;
        let mut no_core = Duration::ZERO;
        for first in range.clone().step_by(self.workload.batch as usize) {
            let end = range.end.min(first + self.workload.batch);
            let batch = puts.make(self, first..end);
            let waited = waited_for_core()?;
            puts.put_made(engine, &batch)?;
            no_core += waited_for_core()?.saturating_sub(waited);
            shared.written.store(end, Ordering::Release);
        }
        let cpu = puts.cpu();
        Ok(Written { puts, cpu, no_core })
    }

    /// Random items of all that are there.
    fn read_until<E: Engine>(
        &self,
        engine: &E,
        reader: u64,
        shared: &Shared,
    ) -> Result<(Histogram<u64>, Duration)> {
        let mut latencies = Histogram::<u64>::new(3)?;
        let cpu = ThreadTime::now();
        for n in reader << 40.. {
            if shared.stop.load(Ordering::Relaxed) {
                break;
            }
            let index = mix(n) % shared.written.load(Ordering::Acquire);
            let started = Instant::now();
            self.get_one_by_key(engine, index)?;
            latencies.record(started.elapsed().as_nanos() as u64)?;
        }
        Ok((latencies, cpu.elapsed()))
    }

    fn report_reads(&mut self, what: &str, reads: &Reads) {
        let rate = reads.latencies.len() as f64 / reads.seconds;
        self.report.higher(format!("{what} get by key/s"), rate);
        let what = format!("{what} get by key");
        self.report.quantiles(&what, &reads.latencies);
    }

    fn report_writer(&mut self, alone: &Written, beside: &Written, readers: Duration) {
        let report = &mut self.report;
        report.higher("alone put/s", alone.puts.rate());
        report.higher("beside 8 readers put/s", beside.puts.rate());
        report.quantiles("beside 8 readers batch", &beside.puts.latencies);
        let with_core = |written: &Written| {
            let elapsed = written.puts.elapsed.saturating_sub(written.no_core);
            written.puts.items as f64 / elapsed.as_secs_f64()
        };
        report.higher(
            "beside 8 readers put/s while it has a core, x alone",
            with_core(beside) / with_core(alone),
        );
        let by_cpu = |written: &Written, others: Duration| {
            let cpu = written.cpu.saturating_sub(others);
            written.puts.items as f64 / cpu.as_secs_f64()
        };
        report.higher(
            "beside 8 readers put/s of CPU time, x alone",
            by_cpu(beside, readers) / by_cpu(alone, Duration::ZERO),
        );
    }
}

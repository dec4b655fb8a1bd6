//! The longest put: items come one by one, and after so many of them another thread flushes.
//!
//! Where an engine lets no put by while it flushes, a put waits for the flush, and that is no fault of
//! the put's. So what counts is also how much of a put's time no flush covers.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use cpu_time::ThreadTime;
use hdrhistogram::Histogram;

use super::Worker;
use crate::engine::Engine;

/// Puts that take longer are kept, to be held against the flushes.
const LONG: Duration = Duration::from_micros(500);

/// When a call began and ended.
type Span = (Instant, Instant);

struct Flushes {
    spans: Vec<Span>,
    /// The most that one needed of a core: work that should not be the flush's shows here.
    most_cpu: Duration,
}

struct Puts {
    latencies: Histogram<u64>,
    long: Vec<Span>,
}

impl Worker {
    pub(super) fn latency<E: Engine>(&mut self) -> Result<()> {
        let engine = self.open::<E>()?;
        let (send, receive) = sync_channel(1);
        let started = Instant::now();
        let (puts, flushes) = std::thread::scope(|scope| {
            let flusher = scope.spawn(|| flush_when_told(&engine, receive));
            let puts = self.put_one_by_one(&engine, send);
            let flushes = super::joined(flusher)??;
            anyhow::Ok((puts?, flushes))
        })?;
        let elapsed = started.elapsed().as_secs_f64();
        self.report_latency(&puts, &flushes, elapsed)?;
        self.check_some(&engine)?;
        engine.close()
    }

    /// It tells the flusher in time that is nobody's, and waits for it when it is a flush behind.
    fn put_one_by_one<E: Engine>(&self, engine: &E, flush: SyncSender<()>) -> Result<Puts> {
        let mut puts = Puts {
            latencies: Histogram::new(3)?,
            long: Vec::new(),
        };
        for index in 0..self.workload.items {
            let item = self.item(index);
            let started = Instant::now();
            engine.put(&item)?;
            let ended = Instant::now();
            puts.latencies.record((ended - started).as_nanos() as u64)?;
            if ended - started > LONG {
                puts.long.push((started, ended));
            }
            if (index + 1) % self.workload.batch == 0 {
                let told = flush.send(());
                told.map_err(|_| anyhow!("the thread that flushes has ended"))?;
            }
        }
        Ok(puts)
    }

    fn report_latency(&mut self, puts: &Puts, flushes: &Flushes, elapsed: f64) -> Result<()> {
        let mut times = Histogram::<u64>::new(3)?;
        for (started, ended) in &flushes.spans {
            times.record((*ended - *started).as_nanos() as u64)?;
        }
        let beyond = puts.long.iter().map(|put| beyond(*put, &flushes.spans));
        let beyond = beyond.max().unwrap_or_default();
        let report = &mut self.report;
        report.higher("one by one put/s", self.workload.items as f64 / elapsed);
        report.quantiles("put", &puts.latencies);
        report.quantile("put", "p99.99", 0.9999, &puts.latencies);
        report.quantiles("flush", &times);
        report.lower("flushes", flushes.spans.len() as f64);
        report.lower("longest put beyond flushes ms", beyond.as_secs_f64() * 1e3);
        report.lower(
            "longest put, x longest flush",
            puts.latencies.max() as f64 / times.max() as f64,
        );
        let most_cpu = flushes.most_cpu.as_secs_f64() * 1e3;
        report.lower("most CPU time of a flush ms", most_cpu);
        Ok(())
    }
}

fn flush_when_told<E: Engine>(engine: &E, told: Receiver<()>) -> Result<Flushes> {
    let mut flushes = Flushes {
        spans: Vec::new(),
        most_cpu: Duration::ZERO,
    };
    let mut flush = || {
        let (started, cpu) = (Instant::now(), ThreadTime::now());
        engine.flush()?;
        flushes.spans.push((started, Instant::now()));
        flushes.most_cpu = flushes.most_cpu.max(cpu.elapsed());
        anyhow::Ok(())
    };
    told.iter().try_for_each(|()| flush())?;
    // The last items are fewer than call for one.
    flush()?;
    Ok(flushes)
}

/// How much of the put's time is outside of every flush. Flushes come one after another.
fn beyond((started, ended): Span, flushes: &[Span]) -> Duration {
    let first = flushes.partition_point(|flush| flush.1 <= started);
    let during = flushes[first..].iter().take_while(|flush| flush.0 < ended);
    let covered: Duration = during
        .map(|flush| flush.1.min(ended) - flush.0.max(started))
        .sum();
    (ended - started).saturating_sub(covered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_time_outside_of_flushes_is_beyond_them() {
        let now = Instant::now();
        let at = |ms| now + Duration::from_millis(ms);
        let flushes = [(at(0), at(10)), (at(20), at(30)), (at(40), at(50))];
        let beyond = |from, to| beyond((at(from), at(to)), &flushes).as_millis();
        assert_eq!(beyond(2, 8), 0);
        assert_eq!(beyond(11, 19), 8);
        assert_eq!(beyond(5, 25), 10);
        assert_eq!(beyond(15, 60), 25);
        assert_eq!(beyond(50, 60), 10);
    }
}

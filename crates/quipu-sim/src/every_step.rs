//! A machine that is stopped before and after each single call of a workload, and what its disk may
//! then hold.
//!
//! For each call the workload runs anew up to it, once. What the disk kept is then drawn many times,
//! opened, and compared with the model; for a part of the draws the archive goes on and is looked at
//! after another crash. Where a call changes nothing on the disk, the machine after it is that before
//! it, and the draws made before it count for both: they are told apart in the report.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use quipu::PageCache;
use quipu::canary::{self, Canary};
use quipu::storage::simulated::{CallKind, Simulated, Survival, When};

use crate::case::{Case, Crash, Step};
use crate::run::{CACHE_BYTES, MACHINE_SEED, quiet_unwind};
use crate::world::World;

/// Draws at each crash point, at the least.
pub const SUBSETS: u64 = 32;
/// Of so many draws one goes on after the check.
const GOES_ON: u64 = 8;

/// What was done to one workload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Calls of the storage that it makes.
    pub calls: u64,
    /// Crash points that were drawn from: before and after each call.
    pub points: u64,
    /// Crash points whose disk is that of the point before, so that its draws count for both.
    pub shared_points: u64,
    /// Disks that were drawn, opened and compared.
    pub checks: u64,
}

/// Stops a workload at every call, on so many threads; the first failure ends it.
pub fn every_step(case: &Case, jobs: usize, defect: Option<Canary>) -> Result<Report, String> {
    let log = with_defect(defect, || calls_of(case))?;
    let next = AtomicU64::new(0);
    let failed = AtomicBool::new(false);
    let work = || {
        with_defect(defect, || {
            let mut report = Report::default();
            while !failed.load(Ordering::Relaxed) {
                let call = next.fetch_add(1, Ordering::Relaxed);
                let Some(kind) = log.get(call as usize) else {
                    break;
                };
                at_call(case, call, *kind, &mut report)
                    .inspect_err(|_| failed.store(true, Ordering::Relaxed))?;
            }
            Ok(report)
        })
    };
    let mut report = Report {
        calls: log.len() as u64,
        ..Report::default()
    };
    let reports = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..jobs.max(1)).map(|_| scope.spawn(work)).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, Result<Report, String>>| {
            let gone = |_| Err("a thread panicked".to_owned());
            thread.join().unwrap_or_else(gone)
        };
        threads.into_iter().map(join).collect::<Vec<_>>()
    });
    for of_thread in reports {
        let of_thread = of_thread?;
        report.points += of_thread.points;
        report.shared_points += of_thread.shared_points;
        report.checks += of_thread.checks;
    }
    Ok(report)
}

fn with_defect<T>(
    defect: Option<Canary>,
    work: impl FnOnce() -> Result<T, String>,
) -> Result<T, String> {
    canary::select(defect);
    let done = quiet_unwind(work);
    canary::select(None);
    done?
}

/// The workload up to where the machine stops; after each step that is not cut off, the model knows.
fn run(case: &Case, stop: Option<(u64, When)>) -> Result<World, String> {
    quipu::seed_random_numbers(Some(MACHINE_SEED));
    let cache = PageCache::new(CACHE_BYTES);
    let mut world = World::new(case.settings.clone(), MACHINE_SEED, 0, cache);
    if let Some((call, when)) = stop {
        world.disk().stop_at(call, when);
    }
    for step in &case.steps {
        world.try_step(step)?;
        if world.disk().is_stopped() {
            break;
        }
    }
    Ok(world)
}

/// The kinds of all calls of a workload.
fn calls_of(case: &Case) -> Result<Vec<CallKind>, String> {
    let fits = |step: &Step| !matches!(step, Step::Crash(_) | Step::Fault { .. });
    if !case.steps.iter().all(fits) {
        return Err("a workload that is stopped at every call has no crash of its own".to_owned());
    }
    let world = run(case, None)?;
    Ok(world.disk().log().iter().map(|call| call.kind).collect())
}

/// Both crash points of one call.
fn at_call(case: &Case, call: u64, kind: CallKind, report: &mut Report) -> Result<(), String> {
    for when in [When::Before, When::After] {
        report.points += 1;
        if when == When::After && !changes(kind) {
            report.shared_points += 1;
            continue;
        }
        let world = run(case, Some((call, when)))?;
        for draw in 0..SUBSETS {
            let survival = survival(draw);
            let seed = call * SUBSETS + draw;
            // What a killed process left is at stake only when the power goes after it.
            let killed = survival == Survival::Memory;
            let goes_on = killed || draw % GOES_ON == call % GOES_ON;
            report.checks += 1;
            recover(&world, survival, seed, goes_on).map_err(|what| {
                let crash = Crash {
                    after: call,
                    when,
                    survival,
                    seed,
                    again: Vec::new(),
                };
                format!("{what}\n  in a {kind:?}: {}", with_crash(case, crash))
            })?;
        }
    }
    Ok(())
}

/// The workload with its crash, as a case that can be run again.
fn with_crash(case: &Case, crash: Crash) -> Case {
    let mut case = case.clone();
    case.steps.insert(0, Step::Crash(crash));
    case
}

fn recover(world: &World, survival: Survival, seed: u64, goes_on: bool) -> Result<(), String> {
    let disk: &Simulated = world.disk();
    World::recover(disk, &world.model, survival, seed, goes_on)
}

/// Half of the draws are of single bytes, the rest of the ways in which disks really lose writes.
fn survival(draw: u64) -> Survival {
    match draw {
        0 => Survival::Nothing,
        1 => Survival::All,
        2 => Survival::Memory,
        3..=9 => Survival::Sectors,
        10..=15 => Survival::Prefix,
        _ => Survival::Bytes,
    }
}

/// Whether a call changes what the disk can hold after a crash.
fn changes(kind: CallKind) -> bool {
    !matches!(
        kind,
        CallKind::OpenRead | CallKind::OpenWrite | CallKind::List | CallKind::Read | CallKind::Len
    )
}

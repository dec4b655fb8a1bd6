//! What the program does, one function a command. An error is the text that it ends with.

use std::ops::Range;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use quipu::canary::{self, Canary};
use quipu_sim::canaries::try_canary;
use quipu_sim::case::Case;
use quipu_sim::every_step::{SUBSETS, every_step as stop_everywhere};
use quipu_sim::fixed::FIXED;
use quipu_sim::run::{Failure, run};
use quipu_sim::seeds::run_seeds;
use quipu_sim::shrink;
use quipu_sim::workload;

/// So many failures end a run of seeds.
const MOST_FAILURES: usize = 5;

fn bar(len: u64, what: &'static str) -> ProgressBar {
    // indicatif draws nothing where standard error is no terminal.
    let bar = ProgressBar::new(len);
    let style = "{msg} [{bar:30}] {pos}/{len}, {per_sec}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar.with_message(what)
}

pub(crate) fn seeds(
    seeds: Range<u64>,
    jobs: usize,
    defect: Option<Canary>,
    shrink: bool,
) -> Result<(), String> {
    let bar = bar(seeds.end - seeds.start, "seeds");
    let started = Instant::now();
    let report = run_seeds(seeds, jobs, defect, MOST_FAILURES, &|| bar.inc(1));
    bar.finish_and_clear();
    let seconds = started.elapsed().as_secs_f64();
    let counts = report.counts;
    println!(
        "{} seeds in {seconds:.1} s on {jobs} threads, {:.0} a second: {} failed",
        report.seeds,
        report.seeds as f64 / seconds.max(0.001),
        report.failures.len()
    );
    println!(
        "{} steps, {} storage calls, {} crashes, {} faults, {} damaged files, {} full comparisons",
        counts.steps, counts.calls, counts.crashes, counts.faults, counts.damages, counts.checks
    );
    for (seed, failure) in &report.failures {
        println!("\nseed {seed}");
        canary::select(defect);
        tell_failure(&workload::case(*seed), failure, shrink);
        canary::select(None);
    }
    match report.failures.len() {
        0 => Ok(()),
        failed => Err(format!("{failed} seeds failed")),
    }
}

pub(crate) fn one(case: &Case, defect: Option<Canary>, shrink: bool) -> Result<(), String> {
    canary::select(defect);
    println!("{}", case.settings);
    for (number, step) in case.steps.iter().enumerate() {
        println!("{number:>4}  {step}");
    }
    match run(case) {
        Ok(done) => {
            println!("well: {:?}, hash {:016x}", done.counts, done.log_hash);
            Ok(())
        }
        Err(failure) => {
            tell_failure(case, &failure, shrink);
            Err("the case failed".to_owned())
        }
    }
}

pub(crate) fn replay(text: &str, defect: Option<Canary>, shrink: bool) -> Result<(), String> {
    one(&text.parse()?, defect, shrink)
}

/// Prints a failure and the command that runs it again.
fn tell_failure(case: &Case, failure: &Failure, shrink: bool) {
    println!("{failure}");
    let shrunk = match shrink {
        true => shrink::shrink(case),
        false => Some((case.clone(), failure.clone())),
    };
    match shrunk {
        Some((case, failure)) => {
            println!("shortest case, {failure}");
            println!("  quipu-sim --replay '{case}'");
        }
        None => println!("it does not fail when it is run again, which must not happen"),
    }
}

pub(crate) fn every_step(which: &str, jobs: usize, defect: Option<Canary>) -> Result<(), String> {
    let all = FIXED.iter().enumerate();
    let chosen: Vec<_> = match which {
        "all" => all.collect(),
        number => {
            let number: usize = number.parse().map_err(|_| "not a number".to_owned())?;
            all.filter(|&(at, _)| at + 1 == number).collect()
        }
    };
    if chosen.is_empty() {
        return Err(format!("there are workloads 1 to {}", FIXED.len()));
    }
    println!("at least {SUBSETS} disks at each crash point");
    let mut failed = 0;
    for (at, fixed) in chosen {
        match stop_everywhere(&fixed.case()?, jobs, defect) {
            Ok(report) => println!(
                "{:>2} {:<60} {:>4} calls, {:>4} points ({} shared), {:>6} disks: well",
                at + 1,
                fixed.name,
                report.calls,
                report.points,
                report.shared_points,
                report.checks
            ),
            Err(what) => {
                failed += 1;
                println!("{:>2} {}: FAILED\n  {what}", at + 1, fixed.name);
            }
        }
    }
    match failed {
        0 => Ok(()),
        failed => Err(format!("{failed} workloads failed")),
    }
}

pub(crate) fn canaries(seeds: u64, jobs: usize) -> Result<(), String> {
    println!(
        "{:<24} {:>12} {:>20} {:>14}",
        "defect", "seeds", "fixed workloads", "crafted cases"
    );
    let mut missed = Vec::new();
    for &canary in Canary::ALL {
        let caught = try_canary(canary, seeds, jobs);
        let name = format!("{canary:?}");
        let fixed = caught.every_step;
        let fixed = fixed.map_or("-".to_owned(), |of| format!("{of}/{}", FIXED.len()));
        let crafted = match caught.crafted {
            (0, _) => "-".to_owned(),
            (variants, failed) => format!("{failed}/{variants}"),
        };
        println!(
            "{name:<24} {:>7}/{seeds} {fixed:>20} {crafted:>14}",
            caught.failed
        );
        if !caught.is_caught() {
            missed.push(name);
        }
    }
    match missed.is_empty() {
        true => Ok(()),
        false => Err(format!("not caught: {}", missed.join(", "))),
    }
}

pub(crate) fn list() {
    println!("Fixed workloads, for --every-step:");
    for (at, fixed) in FIXED.iter().enumerate() {
        println!("{:>4}  {}", at + 1, fixed.name);
    }
    println!("\nDefects, for --canaries:");
    for canary in Canary::ALL {
        println!("      {canary:?}");
    }
}

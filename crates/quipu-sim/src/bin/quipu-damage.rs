//! `quipu-damage`: damages small archives in every way and prints what came of it, in Markdown.

use std::process::ExitCode;

use clap::Parser;
use indicatif::ProgressBar;
use quipu_sim::damage::{self, Case, Fallible, Masks, Plan, Shape};

/// Flips every byte, cuts at every length, zeroes every block, removes and replaces every file of
/// small archives, and checks after each that nothing else is lost and nothing is wrong.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Only archives whose name contains this.
    #[arg(long, value_name = "TEXT")]
    shape: Option<String>,
    /// Leave out the archives that the reference program wrote.
    #[arg(long)]
    no_golden: bool,
    /// Of flipped bytes and cuts one in so many, the same in every run.
    #[arg(long, value_name = "N", default_value_t = 1)]
    one_in: u64,
    /// Flip each byte with one mask instead of three.
    #[arg(long)]
    one_mask: bool,
    /// Threads; as many as there are cores when not given.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// One case alone, as a report names it: SHAPE:FILE:DAMAGE.
    #[arg(long, value_name = "CASE")]
    case: Option<String>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether nothing was wrong.
fn run(arguments: &Arguments) -> Fallible<bool> {
    if let Some(case) = &arguments.case {
        return one(case);
    }
    let mut shapes = shapes(!arguments.no_golden)?;
    if let Some(text) = &arguments.shape {
        shapes.retain(|shape| shape.name.contains(text));
    }
    let plan = Plan {
        masks: match arguments.one_mask {
            true => Masks::One,
            false => Masks::All,
        },
        one_in: arguments.one_in,
        threads: match arguments.threads {
            Some(threads) => threads,
            None => std::thread::available_parallelism()?.get(),
        },
    };
    let bar = ProgressBar::new(0);
    let report = damage::run(&shapes, plan, &|done, of| {
        if done % 256 == 0 {
            bar.set_length(of);
            bar.set_position(done);
        }
    });
    bar.finish_and_clear();
    print!("{}", report.markdown());
    eprint!("{}", report.faults());
    Ok(report.faults.is_empty())
}

fn shapes(golden: bool) -> Fallible<Vec<Shape>> {
    let mut shapes = damage::written()?;
    if golden {
        shapes.extend(damage::adopted()?);
    }
    Ok(shapes)
}

fn one(text: &str) -> Fallible<bool> {
    let (name, case) = text
        .split_once(':')
        .ok_or("SHAPE:FILE:DAMAGE is asked for")?;
    let case: Case = case.parse()?;
    let shapes = shapes(true)?;
    let shape = shapes.iter().find(|shape| shape.name == name);
    let shape = shape.ok_or_else(|| format!("no archive is called {name:?}"))?;
    let outcome = damage::check(shape, &case).ok_or("the damage changes nothing")?;
    println!(
        "lost {}, least possible {}, beyond it {}",
        outcome.lost, outcome.least, outcome.beyond
    );
    for (fault, text) in &outcome.faults {
        println!("{fault}: {text}");
    }
    Ok(outcome.faults.is_empty())
}

//! `quipu-sim`: the simulator as a program.

mod commands;

use std::ops::Range;
use std::process::ExitCode;

use clap::Parser;
use quipu::canary::Canary;

const EXAMPLES: &str = "\
Examples:
  quipu-sim --seeds 0..10000           ten thousand random cases, on all cores
  quipu-sim --seed 42                  one of them: its steps, and what became of it
  quipu-sim --replay 'items=8 | put 1 1 9 | crash 3 before bytes 7 | sync'
                                       a case from its text, as a failure prints it
  quipu-sim --every-step               every call of 28 workloads, stopped before and after
  quipu-sim --every-step 3             the same for one of them
  quipu-sim --canaries                 defects that are switched on, and whether they are caught
  quipu-sim --seeds 0..400 --defect SlotReused
                                       random cases with a defect of the library
  quipu-sim --list                     the workloads and the defects

A failure is shrunk to the shortest case that still fails, and printed with the command that runs
it again. Nothing is written to the disk of this machine.

Exit codes:
  0  everything was as it must be
  1  something failed
  2  the command line is wrong";

/// Runs archives on a simulated machine that crashes and fails as a seed says, and compares what is
/// left with what must be there.
#[derive(Parser)]
#[command(name = "quipu-sim", version, about, after_help = EXAMPLES, max_term_width = 100)]
#[command(group = clap::ArgGroup::new("what").required(true))]
struct Cli {
    /// Run the seeds A to B-1.
    #[arg(long, value_name = "A..B", group = "what", value_parser = seeds)]
    seeds: Option<Range<u64>>,

    /// Run one seed, and print its case.
    #[arg(long, value_name = "N", group = "what")]
    seed: Option<u64>,

    /// Run a case from its text.
    #[arg(long, value_name = "CASE", group = "what")]
    replay: Option<String>,

    /// Stop all fixed workloads, or the one of that number, at every call.
    #[arg(long, value_name = "N", group = "what", num_args = 0..=1, default_missing_value = "all")]
    every_step: Option<String>,

    /// Switch on each defect in turn, and count the seeds that notice.
    #[arg(long, value_name = "SEEDS", group = "what", num_args = 0..=1, default_missing_value = "400")]
    canaries: Option<u64>,

    /// List the fixed workloads and the defects.
    #[arg(long, group = "what")]
    list: bool,

    /// Run seeds, a case or the fixed workloads with a defect switched on.
    #[arg(long, value_name = "DEFECT", value_parser = defect, conflicts_with_all = ["canaries", "list"])]
    defect: Option<Canary>,

    /// Threads; as many as the machine has cores when not given.
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,

    /// Print a failure as it was found, without shrinking it.
    #[arg(long)]
    no_shrink: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let jobs = cli.jobs.unwrap_or_else(quipu_sim::seeds::cores).max(1);
    let shrink = !cli.no_shrink;
    let well = if let Some(seeds) = cli.seeds {
        commands::seeds(seeds, jobs, cli.defect, shrink)
    } else if let Some(seed) = cli.seed {
        commands::one(&quipu_sim::workload::case(seed), cli.defect, shrink)
    } else if let Some(text) = cli.replay {
        commands::replay(&text, cli.defect, shrink)
    } else if let Some(which) = cli.every_step {
        commands::every_step(&which, jobs, cli.defect)
    } else if let Some(seeds) = cli.canaries {
        commands::canaries(seeds, jobs)
    } else {
        commands::list();
        Ok(())
    };
    match well {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let parsed = text.split_once("..").and_then(|(from, to)| {
        let range = from.parse().ok()?..to.parse().ok()?;
        (!range.is_empty()).then_some(range)
    });
    parsed.ok_or_else(|| "two numbers with two dots between them, as 0..1000".to_owned())
}

fn defect(name: &str) -> Result<Canary, String> {
    let named = |canary: &&Canary| format!("{canary:?}") == name;
    let found = Canary::ALL.iter().find(named).copied();
    found.ok_or_else(|| "--list tells which defects there are".to_owned())
}

//! The processes of one engine: a process a phase.

use std::io::{Read, Seek};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use quipu_bench::measures::Report;
use quipu_bench::{Phase, Workload};
use wait_timeout::ChildExt;

use crate::Engines;
use crate::engines::Name;

/// All phases of one engine, in a folder that goes when they are done; each may take so long.
pub(crate) fn all_phases(
    engines: &Engines,
    name: &Name,
    phases: &[Phase],
    workload: &Workload,
    limit: Duration,
) -> Result<Report> {
    let folder = tempfile::Builder::new()
        .prefix("bench-data-")
        .tempdir_in(&engines.dir)?;
    let dir = folder.path().join("data");
    let mut all = Report::default();
    for &phase in phases {
        if phase.begins_anew() {
            if dir.exists() {
                std::fs::remove_dir_all(&dir)?;
            }
            std::fs::create_dir(&dir)?;
            // What ran before has left bytes to write, and removed files that the disk is told of: this one is not to wait
            // for that.
            rustix::fs::sync();
        }
        if phase == Phase::Cold {
            drop_caches()?;
        }
        let report = one_phase(engines, name, &dir, phase, workload, limit);
        let mut report = report.with_context(|| format!("{name}, {}", phase.name()))?;
        all.figures.append(&mut report.figures);
        all.series.append(&mut report.series);
    }
    Ok(all)
}

/// What a process wrote last is its report. It goes to a file, so that no pipe can be full.
fn one_phase(
    engines: &Engines,
    name: &Name,
    dir: &Path,
    phase: Phase,
    workload: &Workload,
    limit: Duration,
) -> Result<Report> {
    let mut output = tempfile::tempfile()?;
    let mut child = name
        .command(&engines.programs, dir, phase, workload)
        .stdout(output.try_clone()?)
        .spawn()
        .context("it cannot be started")?;
    let Some(status) = child.wait_timeout(limit)? else {
        child.kill()?;
        child.wait()?;
        bail!("it took longer than {} minutes", limit.as_secs() / 60);
    };
    let killed = phase == Phase::PutKilled && status.signal() == Some(9);
    ensure!(status.success() || killed, "it ended with {status}");
    let mut lines = String::new();
    output.rewind()?;
    output.read_to_string(&mut lines)?;
    let last = lines.lines().last().context("it reported nothing")?;
    Ok(serde_json::from_str(last)?)
}

/// What is on disk is read from there next; only root may ask for it.
pub(crate) fn drop_caches() -> std::io::Result<()> {
    rustix::fs::sync();
    std::fs::write("/proc/sys/vm/drop_caches", "3")
}

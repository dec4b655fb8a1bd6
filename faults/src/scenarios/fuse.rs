//! A disk that fails: for each n, the n-th flush, write or read of a short workload, or every call
//! from the n-th on; then a loss of power, after which what the flushes that succeeded saved is
//! there, and of the rest nothing or parts by chance.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use super::{Args, Skipped, must_be_right};
use crate::check::{Leave, check};
use crate::child::{self, Ended, Moment};
use crate::fuse::{Disk, Fault, Served, Surviving};
use crate::model::Model;
use crate::mount;
use crate::plan::Start;
use crate::shape::Shape;
use crate::tally::Tally;
use crate::writer::{DONE, FAILED, FULL, Work};

/// Steps of the workload, and of the one that goes on after the loss of power.
const STEPS: u64 = 150;
const STEPS_AFTER: u64 = 40;

/// The fault at the n-th call.
type FaultAt = fn(u64) -> Fault;

/// The kinds of fault by name.
const FAULTS: [(&str, FaultAt); 6] = [
    ("flush", |nth| Fault::Flush {
        nth,
        evicted: false,
    }),
    ("evict", |nth| Fault::Flush { nth, evicted: true }),
    ("write", Fault::Write),
    ("short", Fault::ShortWrite),
    ("space", Fault::NoSpace),
    ("stop", Fault::Stop),
];

/// What this scenario takes beside the rest.
#[derive(Clone, Debug, clap::Args)]
pub struct FuseArgs {
    #[command(flatten)]
    pub common: Args,
    /// One kind of fault alone: flush, evict (a failed flush whose pages are gone at once), write,
    /// short, space, stop, read
    #[arg(long)]
    fault: Option<String>,
}

/// For each kind of fault: every n up to the number of calls, or so many rounds.
pub fn run(args: &FuseArgs, folder: &Path, tally: &mut Tally) -> Result<()> {
    let wanted = |name: &str| args.fault.as_deref().is_none_or(|only| only == name);
    let args = &args.common;
    mount::need(&[])?;
    if !Path::new("/dev/fuse").exists() {
        return Err(Skipped("there is no /dev/fuse".to_owned()).into());
    }
    let bench = Bench {
        args,
        at: folder.join("disk"),
        shape: Shape::of(args.seed),
    };
    for (name, fault) in FAULTS.into_iter().filter(|(name, _)| wanted(name)) {
        let mut own = Tally::default();
        let result = bench.every(fault, &mut own);
        println!("  {name}: {own}");
        tally.merge(own);
        result.map_err(|error| error.context(name))?;
    }
    if !wanted("read") {
        return Ok(());
    }
    let mut own = Tally::default();
    let result = bench.every_read(&mut own);
    println!("  read: {own}");
    tally.merge(own);
    result
}

struct Bench<'a> {
    args: &'a Args,
    at: PathBuf,
    shape: Shape,
}

impl Bench<'_> {
    fn archive(&self) -> PathBuf {
        self.at.join("archive")
    }

    fn every(&self, fault: FaultAt, tally: &mut Tally) -> Result<()> {
        for nth in 1..=self.args.rounds {
            for surviving in [Surviving::Nothing, Surviving::Some(nth)] {
                if !self.round(fault(nth), surviving, tally)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// One workload with a fault; whether that struck.
    fn round(&self, fault: Fault, surviving: Surviving, tally: &mut Tally) -> Result<bool> {
        let mut model = Model::new(self.shape.section());
        let mut disk = Disk::new();
        disk.set_fault(fault);
        let start = model.start(self.args.seed, 0);
        let (mut disk, ended) = self.write(disk, start, STEPS, !matches!(fault, Fault::Stop(_)))?;
        let struck = disk.fired();
        let code = ended.code().unwrap_or(-1);
        let right: &[u8] = match fault {
            _ if !struck => &[DONE],
            // The rest is written by another call.
            Fault::ShortWrite(_) => &[DONE],
            Fault::NoSpace(_) => &[FULL],
            // The name of the lock's holder is a courtesy: it may be lacking.
            Fault::Write(_) | Fault::Stop(_) => &[FAILED, DONE],
            _ => &[FAILED],
        };
        ensure!(
            right.iter().any(|&of| i32::from(of) == code),
            "{fault:?}: the writer ended with {ended:?}"
        );
        model.crash(&start, ended.done);
        disk.cut(surviving);
        let (disk, outcome) = self.check(disk, &mut model)?;
        tally.add(&ended, &outcome);
        must_be_right(&outcome)
            .map_err(|error| error.context(format!("{fault:?} {surviving:?}")))?;
        self.go_on(disk, &mut model, surviving)?;
        Ok(struck)
    }

    /// What was recovered can be written to, and loses power again.
    fn go_on(&self, disk: Disk, model: &mut Model, surviving: Surviving) -> Result<()> {
        let start = model.start(self.args.seed, 1);
        let (mut disk, ended) = self.write(disk, start, STEPS_AFTER, true)?;
        ensure!(
            ended.code() == Some(DONE.into()),
            "after recovery: {ended:?}"
        );
        model.crash(&start, ended.done);
        disk.cut(surviving);
        let (_, outcome) = self.check(disk, model)?;
        must_be_right(&outcome)
    }

    /// An error of a read is no reason to cut anything.
    fn every_read(&self, tally: &mut Tally) -> Result<()> {
        let mut model = Model::new(self.shape.section());
        let start = model.start(self.args.seed, 0);
        let (mut disk, ended) = self.write(Disk::new(), start, STEPS, true)?;
        model.crash(&start, ended.done);
        disk.cut(Surviving::Some(self.args.seed));
        for nth in 1..=self.args.rounds {
            let mut failing = disk.clone();
            failing.set_fault(Fault::Read(nth));
            let served = Served::mount(failing, &self.at)?;
            // Whether it says so or reads again is not the point here.
            let _ = check(
                &self.archive(),
                self.shape,
                &mut model.clone(),
                Leave::Dropped,
            );
            let mut failed = served.unmount()?;
            if !failed.fired() {
                break;
            }
            failed.cut(Surviving::Nothing);
            let (_, outcome) = self.check(failed, &mut model.clone())?;
            tally.add(&ended, &outcome);
            must_be_right(&outcome).map_err(|error| error.context(format!("read {nth}")))?;
        }
        Ok(())
    }

    fn write(
        &self,
        disk: Disk,
        start: Start,
        steps: u64,
        read_back: bool,
    ) -> Result<(Disk, Ended)> {
        let work = Work {
            steps,
            read_back,
            ..self.args.work(self.shape, start)
        };
        let served = Served::mount(disk, &self.at)?;
        let command = child::writer(&work, &self.archive())?;
        let ended = child::run(command, Moment::Never, &mut |_| Ok(()))?;
        Ok((served.unmount()?, ended))
    }

    fn check(&self, disk: Disk, model: &mut Model) -> Result<(Disk, crate::model::Outcome)> {
        let served = Served::mount(disk, &self.at)?;
        let outcome = check(&self.archive(), self.shape, model, Leave::Dropped)?;
        let mut disk = served.unmount()?;
        // What an open has found is durable from then on.
        disk.cut(Surviving::Nothing);
        Ok((disk, outcome))
    }
}

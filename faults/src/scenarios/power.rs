//! Power loss: the file system under a process that writes is shut down without a flush, unmounted
//! and mounted again, so that it comes back from its journal.

use std::fs;
use std::path::Path;

use anyhow::Result;

use super::{Args, must_be_right};
use crate::check::{Leave, check};
use crate::child::{self, Moment};
use crate::model::Model;
use crate::mount::{self, Mount};
use crate::shape::Shape;
use crate::tally::Tally;

/// (file system, mount options, size of its image in bytes): the rounds go through them.
const DISKS: [(&str, &str, u64); 7] = [
    ("ext4", "data=ordered", 64 << 20),
    ("ext4", "data=writeback", 64 << 20),
    ("ext4", "data=ordered,nodelalloc", 64 << 20),
    ("ext4", "data=journal", 64 << 20),
    (
        "ext4",
        "data=writeback,commit=1,journal_async_commit",
        64 << 20,
    ),
    ("ext4", "data=ordered,barrier=0,noauto_da_alloc", 64 << 20),
    ("xfs", "", 300 << 20),
];

pub fn run(args: &Args, folder: &Path, tally: &mut Tally) -> Result<()> {
    mount::need_loop_devices(folder)?;
    let mut rng = fastrand::Rng::with_seed(args.seed);
    let disks = DISKS
        .iter()
        .filter(|(kind, ..)| mount::has_program(&format!("mkfs.{kind}")));
    let count = disks.clone().count() as u64;
    for (at, disk) in (0..).zip(disks) {
        // The first ones have a round more where it does not come out even.
        let rounds = args.rounds / count + u64::from(at < args.rounds % count);
        let mut own = Tally::default();
        let result = Disk::new(args, folder, at, *disk)?.run(rounds, &mut rng, &mut own);
        println!("  {} {:?}: {own}", disk.0, disk.1);
        tally.merge(own);
        result?;
    }
    Ok(())
}

struct Disk<'a> {
    args: &'a Args,
    folder: &'a Path,
    image: std::path::PathBuf,
    options: &'a str,
    shape: Shape,
    model: Model,
    number: u64,
}

impl<'a> Disk<'a> {
    fn new(
        args: &'a Args,
        folder: &'a Path,
        number: u64,
        of: (&str, &'a str, u64),
    ) -> Result<Self> {
        let image = folder.join(format!("disk-{number}.image"));
        mount::make_image(&image, of.0, of.2)?;
        let shape = Shape::of(number + args.seed);
        Ok(Self {
            args,
            folder,
            image,
            options: of.1,
            model: Model::new(shape.section()),
            shape,
            number,
        })
    }

    fn run(&mut self, rounds: u64, rng: &mut fastrand::Rng, tally: &mut Tally) -> Result<()> {
        for round in 0..rounds {
            self.round(round, rng, tally)?;
        }
        fs::remove_file(&self.image)?;
        Ok(())
    }

    fn round(&mut self, round: u64, rng: &mut fastrand::Rng, tally: &mut Tally) -> Result<()> {
        let start = self.model.start(self.args.seed + self.number, round);
        let mounted = self.mount(&self.image)?;
        let archive = mounted.path().join("archive");
        let command = child::writer(&self.args.work(self.shape, start), &archive)?;
        let ended = child::run(command, Moment::random(rng), &mut |_| mounted.shut_down())?;
        mounted.unmount()?;
        self.model.crash(&start, ended.done);
        let outcome = match rng.bool() {
            true => self.check(&self.image.clone(), Leave::Dropped)?,
            // Of a copy: so the next writer recovers, and may lose power in it.
            false => {
                let copy = self.folder.join("copy.image");
                fs::copy(&self.image, &copy)?;
                self.check(&copy, Leave::Closed)?
            }
        };
        tally.add(&ended, &outcome);
        must_be_right(&outcome)
    }

    fn mount(&self, image: &Path) -> Result<Mount> {
        Mount::image(image, &self.folder.join("mounted"), self.options)
    }

    fn check(&mut self, image: &Path, leave: Leave) -> Result<crate::model::Outcome> {
        let mounted = self.mount(image)?;
        let archive = mounted.path().join("archive");
        let outcome = check(&archive, self.shape, &mut self.model, leave)?;
        mounted.unmount()?;
        Ok(outcome)
    }
}

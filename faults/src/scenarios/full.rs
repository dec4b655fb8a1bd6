//! A full disk, then space again: the call that finds no room says so, everything acknowledged can
//! be read at once, for writers and readers, and goes on when there is room.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use rustix::fs::FallocateFlags;

use super::{Args, must_be_right};
use crate::check::{Leave, check, check_beside};
use crate::child::{self, Ended, Moment};
use crate::content::{key, value};
use crate::model::{Model, Outcome};
use crate::mount::{self, Mount};
use crate::plan::{Put, Start, Step};
use crate::shape::{self, Shape};
use crate::tally::Tally;
use crate::writer::{FULL, Work};

/// What a writer may fill, ballast included.
const ROOM: u64 = 4 << 20;
/// What is freed when the disk is full.
const BALLAST: u64 = 512 << 10;
/// What a file may have where the process's file size is limited: a large value reaches it.
const FILE_LIMIT: u64 = 1 << 20;
/// Items that stay when a full disk is emptied.
const KEPT: u64 = 100;
/// Bytes that are kept in reserve: more than waits for a sync.
const RESERVE: u64 = 2 << 20;

/// What gets full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Tmpfs,
    Image(&'static str, u64),
    /// No disk: the system's limit for the size of a file.
    FileSize,
}

const KINDS: [Kind; 4] = [
    Kind::Tmpfs,
    Kind::Image("ext4", 24 << 20),
    Kind::Image("xfs", 300 << 20),
    Kind::FileSize,
];

/// Runs so many rounds for each kind and shape.
pub fn run(args: &Args, folder: &Path, tally: &mut Tally) -> Result<()> {
    let mounts = mount::need_loop_devices(folder);
    if let Err(reason) = &mounts {
        println!("  only the limit of the file size: {reason:#}");
    }
    for kind in KINDS {
        let can_run = match kind {
            Kind::FileSize => true,
            Kind::Tmpfs => mounts.is_ok(),
            Kind::Image(of, _) => mounts.is_ok() && mount::has_program(&format!("mkfs.{of}")),
        };
        if !can_run {
            println!("  {kind:?}: skipped");
            continue;
        }
        let reserves: &[u64] = match kind {
            // It is no reserve of a limit.
            Kind::FileSize => &[0],
            _ => &[0, RESERVE],
        };
        let numbers =
            (0..shape::COUNT).flat_map(|of| reserves.iter().map(move |&bytes| (of, bytes)));
        for (number, reserve) in numbers {
            let mut own = Tally::default();
            let full = Full::new(args, folder, kind, number, reserve);
            let result = full?.run(args.rounds, &mut own);
            println!("  {kind:?} shape {number} reserve {reserve}: {own}");
            tally.merge(own);
            result?;
        }
    }
    Ok(())
}

struct Full<'a> {
    args: &'a Args,
    kind: Kind,
    root: PathBuf,
    _mount: Option<Mount>,
    shape: Shape,
    model: Model,
}

impl<'a> Full<'a> {
    fn new(args: &'a Args, folder: &Path, kind: Kind, number: u64, reserve: u64) -> Result<Self> {
        let root = folder.join("full");
        let mount = match kind {
            Kind::Tmpfs => Some(Mount::tmpfs(ROOM + reserve, &root)?),
            Kind::Image(of, bytes) => {
                let image = folder.join("full.image");
                mount::make_image(&image, of, bytes)?;
                let mount = Mount::image(&image, &root, "")?;
                let free = rustix::fs::statvfs(&root)?;
                let free = free.f_bfree * free.f_frsize;
                allocate(&root.join("filler"), free.saturating_sub(ROOM + reserve))?;
                Some(mount)
            }
            Kind::FileSize => {
                fs::create_dir_all(&root)?;
                None
            }
        };
        // Where a file's size is the limit, sections must be large.
        let shape = match kind {
            Kind::FileSize => 2,
            _ => number,
        };
        let shape = Shape { shape, reserve };
        Ok(Self {
            args,
            kind,
            root: match mount {
                Some(_) => root,
                None => root.join(number.to_string()),
            },
            _mount: mount,
            shape,
            model: Model::new(shape.section()),
        })
    }

    fn archive(&self) -> PathBuf {
        self.root.join("archive")
    }

    fn run(&mut self, rounds: u64, tally: &mut Tally) -> Result<()> {
        fs::create_dir_all(&self.root)?;
        for round in 0..rounds {
            if self.kind != Kind::FileSize {
                allocate(&self.root.join("ballast"), BALLAST)?;
            }
            let (start, ended) = self.fill(round)?;
            self.model.stop(&start, ended.done, ended.synced);
            let refused = self.after_refusal(&ended)?;
            self.look_while_full(&ended)?;
            if self.kind != Kind::FileSize {
                fs::remove_file(self.root.join("ballast"))?;
            }
            let (archive, shape) = (self.archive(), self.shape);
            let outcome = check(&archive, shape, &mut self.model, Leave::Closed)?;
            tally.add(&ended, refused.as_ref().unwrap_or(&outcome));
            must_be_right(&outcome)?;
            self.empty()?;
        }
        Ok(())
    }

    /// Writes until there is no room.
    fn fill(&self, round: u64) -> Result<(Start, Ended)> {
        let start = Start {
            keep: true,
            ..self.model.start(self.args.seed, round)
        };
        let work = Work {
            read_back: true,
            ..self.args.work(self.shape, start)
        };
        let mut command = child::writer(&work, &self.archive())?;
        if self.kind == Kind::FileSize {
            command = limited(&command, FILE_LIMIT);
        }
        let ended = child::run(command, Moment::Never, &mut |_| Ok(()))?;
        ensure!(
            ended.code() == Some(FULL.into()),
            "the writer did not end on a full disk: {ended:?}"
        );
        Ok((start, ended))
    }

    /// Out of the reserve a full disk is pruned, and takes puts again; what was found before.
    fn after_refusal(&mut self, ended: &Ended) -> Result<Option<Outcome>> {
        if self.shape.reserve == 0 {
            return Ok(None);
        }
        ensure!(ended.synced, "puts were not refused: {ended:?}");
        let found = check(&self.archive(), self.shape, &mut self.model, Leave::Closed);
        let found = found.context("with a reserve, on a full disk")?;
        must_be_right(&found)?;
        self.empty()
            .context("a prune with a reserve, on a full disk")?;
        let mut archive = self.shape.open(&self.archive())?;
        let index = self.model.start(0, 0).next_index;
        // No round has such serials.
        let serial = 1 << 63 | index;
        let put = Put { index, serial };
        let stored = archive.put_sync(put.index, &key(put.serial), &value(put.serial));
        let _ = stored.context("a put after that prune")?;
        self.model.apply(&Step::Put(put));
        self.model.apply(&Step::Sync);
        Ok(Some(found))
    }

    /// Nothing was freed yet: a reader finds everything, and an open for writing either recovers or
    /// says what it lacks, and loses nothing.
    fn look_while_full(&mut self, ended: &Ended) -> Result<()> {
        let (archive, shape) = (self.archive(), self.shape);
        // A rewind in the middle is neither the old state nor the new one until a writer ends it.
        let is_rewinding = ended.within.as_deref() == Some("rewind");
        if !is_rewinding && let Some(outcome) = check_beside(&archive, shape, &self.model)? {
            must_be_right(&outcome)?;
        }
        let mut model = self.model.clone();
        match check(&archive, shape, &mut model, Leave::Dropped) {
            Ok(outcome) => {
                must_be_right(&outcome)?;
                self.model = model;
                Ok(())
            }
            Err(error) if is_full(&error) => Ok(()),
            Err(error) => Err(error).context("on a full disk"),
        }
    }

    /// Makes room for the next round.
    fn empty(&mut self) -> Result<()> {
        let next = self.model.start(0, 0).next_index;
        let min = next.saturating_sub(KEPT);
        let mut archive = self.shape.open(&self.archive())?;
        archive.prune(min)?;
        self.model.apply(&Step::Prune(min));
        Ok(archive.close()?)
    }
}

fn is_full(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref::<quipu::Error>(),
        Some(quipu::Error::StorageFull { .. })
    )
}

/// Makes a file of so many bytes that are taken from the disk.
fn allocate(path: &Path, bytes: u64) -> Result<()> {
    let file = File::create(path)?;
    if bytes > 0 {
        rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, bytes)
            .with_context(|| format!("no {bytes} bytes for {}", path.display()))?;
    }
    Ok(())
}

/// The same command, whose files may have so many bytes; a write beyond fails, and is no signal.
fn limited(command: &Command, bytes: u64) -> Command {
    let mut limited = Command::new("bash");
    let blocks = bytes / 1024;
    limited.arg("-c").arg(format!(
        "trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\""
    ));
    limited.arg(command.get_program()).args(command.get_args());
    limited
}

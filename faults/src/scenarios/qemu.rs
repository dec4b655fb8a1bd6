//! A whole system that crashes: a guest of qemu writes, qemu is killed, and its disk is mounted.
//!
//! The guest's memory is lost, and with it everything that its kernel had not written to its disk.
//! What it had written without a flush is in the host's memory, which stays.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{Args, Skipped, must_be_right};
use crate::check::{Leave, check};
use crate::child::{self, Moment};
use crate::guest;
use crate::model::{Model, Outcome};
use crate::mount::{self, Mount};
use crate::plan::Start;
use crate::shape::Shape;
use crate::tally::Tally;

/// A guest is so many times slower than a process here.
const SLOWER: u32 = 8;
const ROUNDS_PER_DISK: u64 = 5;
const MIB: u64 = 1 << 20;

/// Modules that Debian's cloud kernel needs for the disk, in the order of their needs.
const MODULES: [&str; 6] = [
    "drivers/virtio/virtio_ring.ko",
    "drivers/virtio/virtio.ko",
    "drivers/virtio/virtio_pci_legacy_dev.ko",
    "drivers/virtio/virtio_pci_modern_dev.ko",
    "drivers/virtio/virtio_pci.ko",
    "drivers/block/virtio_blk.ko",
];
const MODULES_OF_XFS: [&str; 2] = ["lib/libcrc32c.ko", "fs/xfs/xfs.ko"];

/// What this scenario takes beside the rest.
#[derive(Clone, Debug, clap::Args)]
pub struct QemuArgs {
    #[command(flatten)]
    pub common: Args,
    /// The folder that a package of Debian's cloud kernel was unpacked into; setup.sh makes it
    #[arg(long, default_value = "target/kernel")]
    kernel: PathBuf,
    /// How qemu runs the guest: tcg is slower, and works everywhere
    #[arg(long, default_value = "tcg")]
    accel: String,
}

pub fn run(args: &QemuArgs, folder: &Path, tally: &mut Tally) -> Result<()> {
    mount::need(&["qemu-system-x86_64", "cpio"])?;
    mount::need_loop_devices(folder)?;
    let Some(kernel) = kernel(&args.kernel) else {
        let reason = format!("no kernel in {}; setup.sh gets one", args.kernel.display());
        return Err(Skipped(reason).into());
    };
    let host = Host {
        args,
        folder,
        initrd: make_initrd(&args.kernel, folder)?,
        kernel,
    };
    let mut rng = fastrand::Rng::with_seed(args.common.seed);
    let kinds = [("ext4", 64 * MIB), ("xfs", 300 * MIB)];
    let kinds =
        kinds.map(|(kind, bytes)| (kind, bytes, mount::has_program(&format!("mkfs.{kind}"))));
    let kinds: Vec<_> = kinds.iter().filter(|(.., there)| *there).collect();
    for (number, (kind, bytes, _)) in (0..).zip(kinds.iter().cycle()) {
        let rounds = ROUNDS_PER_DISK.min(args.common.rounds - tally.rounds());
        if rounds == 0 {
            break;
        }
        let mut own = Tally::default();
        let result = host.disk(kind, *bytes, number, rounds, &mut rng, &mut own);
        println!("  {kind}, shape {}: {own}", number % crate::shape::COUNT);
        tally.merge(own);
        result?;
    }
    Ok(())
}

fn kernel(unpacked: &Path) -> Option<PathBuf> {
    let files = fs::read_dir(unpacked.join("boot")).ok()?;
    let mut files = files.filter_map(|file| Some(file.ok()?.path()));
    files.find(|file| {
        file.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz"))
    })
}

/// The guest's first file system: this program, the libraries it uses, and the modules.
fn make_initrd(unpacked: &Path, folder: &Path) -> Result<PathBuf> {
    let root = folder.join("initrd");
    let put = |from: &Path, to: &str| -> Result<()> {
        let to = root.join(to.trim_start_matches('/'));
        to.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::copy(from, &to).with_context(|| from.display().to_string())?;
        Ok(())
    };
    put(&std::env::current_exe()?, "init")?;
    for library in libraries()? {
        put(Path::new(&library), &library)?;
        // Where every program looks for the one that loads the others.
        if let Some(name) = library
            .rsplit('/')
            .next()
            .filter(|name| name.starts_with("ld-linux"))
        {
            put(Path::new(&library), &format!("lib64/{name}"))?;
        }
    }
    let versions = fs::read_dir(unpacked.join("lib/modules"))?;
    let version = versions
        .last()
        .context("the kernel has no modules")??
        .path();
    let mut order = String::new();
    for module in MODULES.iter().chain(&MODULES_OF_XFS) {
        let name = module.replace('/', "-");
        put(
            &version.join("kernel").join(module),
            &format!("modules/{name}"),
        )?;
        order += &format!("/modules/{name}\n");
    }
    fs::write(root.join(guest::MODULES.trim_start_matches('/')), order)?;
    // Without it the first process has no standard files.
    fs::create_dir_all(root.join("dev"))?;
    mount::run(
        Command::new("mknod")
            .arg(root.join("dev/console"))
            .args(["c", "5", "1"]),
    )?;
    let script = "cd \"$0\" && find . | cpio --quiet -o -H newc > \"$1\"";
    let initrd = folder.join("initrd.cpio");
    mount::run(
        Command::new("sh")
            .args(["-c", script])
            .arg(&root)
            .arg(&initrd),
    )?;
    Ok(initrd)
}

/// The shared libraries that this process has loaded.
fn libraries() -> Result<Vec<String>> {
    let maps = fs::read_to_string("/proc/self/maps")?;
    let mut libraries: Vec<String> = maps
        .lines()
        .filter_map(|line| line.find('/').and_then(|at| line.get(at..)))
        .filter(|path| path.contains(".so"))
        .map(str::to_owned)
        .collect();
    libraries.sort();
    libraries.dedup();
    Ok(libraries)
}

struct Host<'a> {
    args: &'a QemuArgs,
    folder: &'a Path,
    kernel: PathBuf,
    initrd: PathBuf,
}

impl Host<'_> {
    fn disk(
        &self,
        kind: &str,
        bytes: u64,
        number: u64,
        rounds: u64,
        rng: &mut fastrand::Rng,
        tally: &mut Tally,
    ) -> Result<()> {
        let image = self.folder.join("guest.image");
        mount::make_image(&image, kind, bytes)?;
        let shape = Shape::of(number);
        let mut model = Model::new(shape.section());
        let seed = self.args.common.seed + number;
        for round in 0..rounds {
            let start = model.start(seed, round);
            let guest = self.guest(&image, kind, shape, start);
            let moment = Moment::random(rng).slower(SLOWER);
            let ended = child::run(guest, moment, &mut |qemu| Ok(qemu.kill()?));
            let ended = ended.with_context(|| self.kernel_said())?;
            ensure!(ended.failed.is_none(), "the guest's writer: {ended:?}");
            ensure!(
                ended.code().is_none(),
                "the guest ended: {}",
                self.kernel_said()
            );
            model.crash(&start, ended.done);
            let outcome = match rng.bool() {
                true => self.check(&image, shape, &mut model)?,
                // Of a copy: so the next guest recovers, and may be killed in it.
                false => {
                    let copy = self.folder.join("copy.image");
                    fs::copy(&image, &copy)?;
                    self.check(&copy, shape, &mut model)?
                }
            };
            tally.add(&ended, &outcome);
            must_be_right(&outcome)?;
        }
        Ok(())
    }

    fn guest(&self, image: &Path, kind: &str, shape: Shape, start: Start) -> Command {
        let work = child::arguments(&self.args.common.work(shape, start)).join(" ");
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args(["-nodefaults", "-no-user-config", "-no-reboot"])
            .args(["-display", "none", "-m", "512"])
            .arg("-accel")
            .arg(&self.args.accel)
            .arg("-kernel")
            .arg(&self.kernel)
            .arg("-initrd")
            .arg(&self.initrd)
            .arg("-append")
            .arg(format!(
                "console=ttyS0 panic=-1 quiet -- guest --kind={kind} {work}"
            ))
            .arg("-serial")
            .arg(format!("file:{}", self.folder.join("kernel.log").display()))
            .args(["-serial", "stdio", "-drive"])
            .arg(format!(
                "file={},format=raw,if=virtio,cache=writeback",
                image.display()
            ));
        qemu
    }

    /// The end of what the guest's kernel wrote.
    fn kernel_said(&self) -> String {
        let said = fs::read(self.folder.join("kernel.log")).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let lines: Vec<&str> = said.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    fn check(&self, image: &Path, shape: Shape, model: &mut Model) -> Result<Outcome> {
        let mounted = Mount::image(image, &self.folder.join("mounted"), "")?;
        let archive = mounted.path().join("archive");
        let outcome = check(&archive, shape, model, Leave::Closed)?;
        mounted.unmount()?;
        Ok(outcome)
    }
}

//! The first process of a guest: mounts its disk and writes, until the guest is killed.

use std::fs::{self, File, OpenOptions};
use std::io::{LineWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::mount::MountFlags;
use rustix::system::RebootCommand;

use crate::writer::{self, Work};

/// Where the reports go: the second serial port, which the kernel does not write to.
const REPORTS: &str = "/dev/ttyS1";
/// The modules to load, one a line, in this order.
pub const MODULES: &str = "/modules/order";
const DISK: &str = "/dev/vda";
const MOUNTED: &str = "/data";

/// What the kernel's command line says.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The kind of its file system
    #[arg(long, default_value = "ext4")]
    pub kind: String,
    #[command(flatten)]
    pub work: Work,
}

/// Never returns to a caller that could go on: the guest is switched off.
pub fn run(args: &Args) -> Result<()> {
    let written = write(args);
    if let (Err(error), Ok(mut reports)) = (&written, reports()) {
        let _ = writeln!(reports, "? the guest: {error:#}");
    }
    rustix::fs::sync();
    rustix::system::reboot(RebootCommand::PowerOff)?;
    written
}

fn write(args: &Args) -> Result<()> {
    let none = MountFlags::empty();
    fs::create_dir_all("/dev")?;
    rustix::mount::mount("dev", "/dev", "devtmpfs", none, None).context("no /dev")?;
    load_modules()?;
    wait_for(Path::new(DISK))?;
    fs::create_dir_all(MOUNTED)?;
    rustix::mount::mount(DISK, MOUNTED, args.kind.as_str(), none, None)
        .context("the disk cannot be mounted")?;
    let mut reports = LineWriter::new(reports()?);
    let folder = PathBuf::from(MOUNTED).join("archive");
    writer::run(&args.work, &folder, &mut reports)?;
    Ok(())
}

fn reports() -> std::io::Result<File> {
    OpenOptions::new().write(true).open(REPORTS)
}

fn load_modules() -> Result<()> {
    for module in fs::read_to_string(MODULES)?.lines() {
        let file = File::open(module).with_context(|| module.to_owned())?;
        rustix::system::finit_module(&file, c"", 0).with_context(|| module.to_owned())?;
    }
    Ok(())
}

fn wait_for(path: &Path) -> Result<()> {
    for _ in 0..500 {
        if path.exists() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    anyhow::bail!("{} does not come", path.display())
}

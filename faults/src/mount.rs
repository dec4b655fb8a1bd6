//! File systems that are mounted for a scenario, and are gone after it however it ends.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::mount::UnmountFlags;

use crate::scenarios::Skipped;

/// The ioctl that stops an ext4 or xfs at once, as a loss of power would.
const FS_IOC_SHUTDOWN: rustix::ioctl::Opcode = 0x8004_587d;
/// Nothing is flushed first, not even the journal.
const NO_LOG_FLUSH: u32 = 2;

/// A mounted file system; unmounted when dropped.
#[derive(Debug)]
pub struct Mount {
    at: PathBuf,
}

impl Mount {
    /// Mounts an image file through a loop device, which goes with the mount.
    pub fn image(image: &Path, at: &Path, options: &str) -> Result<Self> {
        let options = match options {
            "" => "loop".to_owned(),
            more => format!("loop,{more}"),
        };
        let mut command = Command::new("mount");
        command.arg("-o").arg(options).arg(image);
        Self::with(command, at)
    }

    /// Mounts a file system in memory of so many bytes.
    pub fn tmpfs(bytes: u64, at: &Path) -> Result<Self> {
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"]);
        Self::with(command, at)
    }

    fn with(mut command: Command, at: &Path) -> Result<Self> {
        fs::create_dir_all(at)?;
        run(command.arg(at))?;
        Ok(Self {
            at: at.to_path_buf(),
        })
    }

    pub fn path(&self) -> &Path {
        &self.at
    }

    /// Cuts the power: from here on every call fails, and what was not flushed is gone.
    pub fn shut_down(&self) -> Result<()> {
        let root = File::open(&self.at)?;
        // SAFETY: the call reads one u32 behind the pointer, which lives until it returns.
        unsafe {
            let call = rustix::ioctl::Setter::<FS_IOC_SHUTDOWN, u32>::new(NO_LOG_FLUSH);
            rustix::ioctl::ioctl(&root, call)
        }
        .context("the file system cannot be shut down")
    }

    pub fn unmount(self) -> Result<()> {
        // The processes that used it may have just ended.
        for _ in 0..100 {
            if rustix::mount::unmount(&self.at, UnmountFlags::empty()).is_ok() {
                std::mem::forget(self);
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        anyhow::bail!("cannot unmount {}", self.at.display())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Goes when its last user is gone.
        let _ = rustix::mount::unmount(&self.at, UnmountFlags::DETACH);
    }
}

/// Makes an image file with a file system.
pub fn make_image(image: &Path, kind: &str, bytes: u64) -> Result<()> {
    File::create(image)?.set_len(bytes)?;
    let mut command = Command::new(format!("mkfs.{kind}"));
    // Without work that is put off to the first mount.
    match kind {
        "ext4" => command.args(["-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0"]),
        _ => command.args(["-q", "-f"]),
    };
    run(command.arg(image))
}

/// Runs a command of the system, which must succeed.
pub fn run(command: &mut Command) -> Result<()> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

/// Whether a program of the system is there.
pub fn has_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.extend(["/sbin", "/usr/sbin"].map(PathBuf::from));
    folders.iter().any(|folder| folder.join(name).exists())
}

/// Skips a scenario where it may not mount, or a program is missing.
pub fn need(programs: &[&str]) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Err(Skipped("it mounts file systems, which only root may".to_owned()).into());
    }
    match programs.iter().find(|name| !has_program(name)) {
        Some(name) => Err(Skipped(format!("{name} is not installed")).into()),
        None => Ok(()),
    }
}

/// Skips a scenario where file systems cannot be mounted through a loop device.
pub fn need_loop_devices(folder: &Path) -> Result<()> {
    need(&["mount", "mkfs.ext4"])?;
    let image = folder.join("probe.image");
    make_image(&image, "ext4", 4 << 20)?;
    match Mount::image(&image, &folder.join("probe"), "") {
        Ok(mount) => mount.unmount(),
        Err(error) => Err(Skipped(format!("no loop devices: {error:#}")).into()),
    }
}

//! The writer as a process, seen from outside: what it reported, and when a fault strikes it.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::writer::Work;

/// A writer that says nothing for so long hangs.
const SILENCE: Duration = Duration::from_secs(120);

/// When a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// So long after the writer, at last, opened the archive.
    Opened(Duration),
    /// So long after it began the n-th step of this kind.
    Step(&'static str, u32, Duration),
    /// Never: it ends on its own.
    Never,
}

/// What a writer did until it ended.
#[derive(Debug, Default)]
pub struct Ended {
    /// Steps that are done and reported.
    pub done: u64,
    /// Everything that is done was synced, though puts were refused.
    pub synced: bool,
    /// How many reports there were.
    pub reports: u64,
    /// The step that it was about to report; none when it was putting.
    pub within: Option<String>,
    /// What it said of a call that failed.
    pub failed: Option<String>,
    /// Promises that it found broken.
    pub broken: Vec<String>,
    pub status: Option<ExitStatus>,
}

impl Moment {
    /// A moment by chance: in any kind of step, or while items are put.
    pub fn random(rng: &mut fastrand::Rng) -> Self {
        let at_once = Duration::from_micros(rng.u64(..3000));
        match rng.u32(..10) {
            0..2 => Self::Step("open", 1, at_once),
            2..4 => Self::Step("prune", rng.u32(1..8), at_once),
            4..6 => Self::Step("rewind", rng.u32(1..6), at_once),
            6 => Self::Step("reopen", rng.u32(1..6), at_once),
            7 => Self::Step("sync", rng.u32(1..60), at_once),
            _ => Self::Opened(Duration::from_micros(rng.u64(..300_000))),
        }
    }
}

/// The command that writes in a folder.
pub fn writer(work: &Work, folder: &Path) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("write").arg(folder).args(arguments(work));
    Ok(command)
}

/// The arguments that give a writer this work.
pub fn arguments(work: &Work) -> Vec<String> {
    let start = &work.start;
    let mut arguments = vec![
        format!("--shape={}", work.shape.shape),
        format!("--reserve={}", work.shape.reserve),
        format!("--seed={}", start.seed),
        format!("--round={}", start.round),
        format!("--next-index={}", start.next_index),
        format!("--floor={}", start.floor),
        format!("--section={}", start.section),
        format!("--steps={}", work.steps),
    ];
    arguments.extend(start.keep.then(|| "--keep".to_owned()));
    arguments.extend(work.read_back.then(|| "--read-back".to_owned()));
    arguments.extend(work.lie.then(|| "--lie".to_owned()));
    arguments
}

/// Runs a command that reports, lets the fault strike, and listens to the end.
pub fn run(
    mut command: Command,
    moment: Moment,
    strike: &mut dyn FnMut(&mut Child) -> Result<()>,
) -> Result<Ended> {
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().context("cannot start the writer")?;
    let result = match child.stdout.take() {
        Some(stdout) => follow(&mut child, &listen(stdout), moment, strike),
        None => Ok(Ended::default()),
    };
    // Whatever happened, nothing is left running.
    let _ = child.kill();
    let status = child.wait()?;
    let mut ended = result?;
    ended.status = Some(status);
    ensure!(
        ended.broken.is_empty(),
        "the writer found: {}",
        ended.broken.join("; ")
    );
    Ok(ended)
}

/// The whole lines that come; a thread reads them, so that waiting for one can end.
fn listen(from: impl Read + Send + 'static) -> Receiver<String> {
    let (send, lines) = mpsc::channel();
    std::thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while from
            .read_until(b'\n', &mut line)
            .is_ok_and(|_| line.ends_with(b"\n"))
        {
            let text = String::from_utf8_lossy(&line).trim().to_owned();
            if send.send(text).is_err() {
                return;
            }
            line.clear();
        }
    });
    lines
}

fn follow(
    child: &mut Child,
    lines: &Receiver<String>,
    moment: Moment,
    strike: &mut dyn FnMut(&mut Child) -> Result<()>,
) -> Result<Ended> {
    let mut ended = Ended::default();
    let mut seen = 0;
    let mut at: Option<Instant> = None;
    let mut struck = false;
    loop {
        let wait = match at {
            Some(at) if !struck => at.saturating_duration_since(Instant::now()),
            _ => SILENCE,
        };
        match lines.recv_timeout(wait) {
            Ok(line) => {
                if at.is_none() && is_moment(&line, moment, &mut seen) {
                    at = Some(Instant::now() + moment.delay());
                }
                ended.take(&line)?;
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(ended),
            Err(RecvTimeoutError::Timeout) if at.is_some() && !struck => {
                strike(child)?;
                struck = true;
            }
            Err(RecvTimeoutError::Timeout) => {
                anyhow::bail!("the writer has said nothing for {SILENCE:?}; last: {ended:?}")
            }
        }
    }
}

impl Moment {
    /// The same where everything takes so many times longer.
    pub fn slower(self, times: u32) -> Self {
        match self {
            Self::Opened(delay) => Self::Opened(delay * times),
            Self::Step(word, nth, delay) => Self::Step(word, nth, delay * times),
            Self::Never => Self::Never,
        }
    }

    fn delay(self) -> Duration {
        match self {
            Self::Opened(delay) | Self::Step(_, _, delay) => delay,
            Self::Never => Duration::MAX,
        }
    }
}

fn is_moment(line: &str, moment: Moment, seen: &mut u32) -> bool {
    match moment {
        Moment::Opened(_) => line == "= 0",
        Moment::Step(word, nth, _) => {
            *seen += u32::from(line.strip_prefix("> ") == Some(word));
            *seen == nth
        }
        Moment::Never => false,
    }
}

impl Ended {
    fn take(&mut self, line: &str) -> Result<()> {
        match line.split_once(' ') {
            Some((">", step)) => self.within = Some(step.to_owned()),
            Some(("=", done)) => {
                self.done = done.parse().with_context(|| line.to_owned())?;
                self.reports += 1;
                self.within = None;
            }
            Some(("+", done)) => {
                self.done = done.parse().with_context(|| line.to_owned())?;
                self.synced = true;
            }
            Some(("!", failed)) => self.failed = Some(failed.to_owned()),
            Some(("?", broken)) => self.broken.push(broken.to_owned()),
            _ => anyhow::bail!("not a report: {line:?}"),
        }
        Ok(())
    }

    /// The exit code, where it ended on its own.
    pub fn code(&self) -> Option<i32> {
        self.status.and_then(|status| status.code())
    }
}

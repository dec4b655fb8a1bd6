//! Reading a repository through the program git: which commits there are, and their bytes.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;

use crate::failure::{Failure, Result};

/// A commit, and those that it follows.
pub(crate) struct Commit {
    pub(crate) id: String,
    pub(crate) parents: Vec<String>,
}

/// A repository.
pub(super) struct Repository {
    path: PathBuf,
}

impl Repository {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_path_buf(),
        }
    }

    fn git(&self, args: &[&str]) -> Command {
        let mut command = Command::new("git");
        // Replacements would give other bytes than those that the id is the hash of.
        command.arg("--no-replace-objects");
        command.arg("-C").arg(&self.path).args(args);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, args: &[&str]) -> Result<String> {
        let output = self.git(args).output().map_err(|error| no_git(&error))?;
        if !output.status.success() {
            return Err(self.refused(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn refused(&self, stderr: &[u8]) -> Failure {
        let said = String::from_utf8_lossy(stderr);
        let said = said
            .lines()
            .next()
            .unwrap_or("it says nothing")
            .trim_start_matches("fatal: ");
        Failure::Other(format!("git cannot read {}: {said}", self.path.display()))
    }

    /// Bytes of an object's id: 20, or 32 in a repository of SHA-256.
    pub(super) fn id_size(&self) -> Result<usize> {
        match self.run(&["rev-parse", "--show-object-format"])?.trim() {
            "sha256" => Ok(32),
            _ => Ok(20),
        }
    }

    /// Every commit reachable from HEAD, children before parents; none in an empty repository.
    pub(super) fn commits(&self) -> Result<Vec<Commit>> {
        if self
            .run(&["rev-parse", "--verify", "--quiet", "HEAD^{commit}"])
            .is_err()
        {
            // No commit yet, if it is a repository at all.
            self.run(&["rev-parse", "--git-dir"])?;
            return Ok(Vec::new());
        }
        let lines = self.run(&["rev-list", "--topo-order", "--parents", "HEAD"])?;
        Ok(parse_commits(&lines))
    }

    /// The raw objects of these commits, in their order.
    pub(super) fn objects(&self, ids: Vec<String>) -> Result<Objects> {
        let mut command = self.git(&["cat-file", "--batch"]);
        command.stdin(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|error| no_git(&error))?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (Some(mut stdin), Some(stdout)) = (stdin, stdout) else {
            return Err(Failure::Other(
                "git gives no pipe to talk through".to_owned(),
            ));
        };
        let asked = ids.clone();
        // On a thread of its own: git stops reading while its answers are not read.
        let asking = std::thread::spawn(move || {
            for id in asked {
                // A git that ends early is noticed where its answer is missing.
                if writeln!(stdin, "{id}").is_err() {
                    break;
                }
            }
        });
        Ok(Objects {
            child,
            asking: Some(asking),
            out: BufReader::with_capacity(1 << 20, stdout),
            ids: ids.into_iter(),
        })
    }
}

/// The commits of a list with one a line: its id, then those of its parents.
pub(crate) fn parse_commits(list: &str) -> Vec<Commit> {
    let commits = list.lines().filter_map(|line| {
        let mut ids = line.split_ascii_whitespace().map(str::to_owned);
        let (id, parents) = (ids.next()?, ids.collect());
        Some(Commit { id, parents })
    });
    commits.collect()
}

/// The next object that git hands out, which must be this commit: a line with id, kind and size,
/// the bytes, a newline. Takes no more memory than there are bytes.
pub(crate) fn read_commit(id: &str, out: &mut dyn BufRead) -> std::io::Result<Vec<u8>> {
    let mut header = String::new();
    out.read_line(&mut header)?;
    let size = match header.split_ascii_whitespace().collect::<Vec<_>>()[..] {
        [found, "commit", size] if found == id => size.parse::<u64>().ok(),
        _ => None,
    };
    let Some(size) = size else {
        return Err(std::io::Error::other(format!(
            "asked for commit {id}, git said {:?}",
            header.trim_end()
        )));
    };
    let mut bytes = Vec::new();
    out.take(size).read_to_end(&mut bytes)?;
    let mut newline = [0];
    out.read_exact(&mut newline)?;
    if bytes.len() as u64 != size || newline != *b"\n" {
        return Err(std::io::Error::other(format!(
            "git gave only a part of commit {id}"
        )));
    }
    Ok(bytes)
}

fn no_git(error: &std::io::Error) -> Failure {
    Failure::Other(format!(
        "cannot run the program git ({error}); install it first"
    ))
}

/// Raw commit objects, one after the other: (id, bytes).
pub(super) struct Objects {
    child: Child,
    asking: Option<JoinHandle<()>>,
    out: BufReader<ChildStdout>,
    ids: std::vec::IntoIter<String>,
}

impl Iterator for Objects {
    type Item = Result<(String, Vec<u8>)>;

    fn next(&mut self) -> Option<Self::Item> {
        let id = self.ids.next()?;
        let bytes = read_commit(&id, &mut self.out);
        let bytes = bytes
            .map_err(|error| Failure::Other(format!("cannot read a commit from git: {error}")));
        Some(bytes.map(|bytes| (id, bytes)))
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        // Whatever was not read is not wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(asking) = self.asking.take() {
            let _ = asking.join();
        }
    }
}

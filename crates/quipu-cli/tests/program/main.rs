//! The program `quipu`, run as a process.

mod adopt;
mod bad_input;
mod damage;
mod git;
mod items;
mod repair;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A folder to work in.
struct Bench {
    folder: tempfile::TempDir,
}

/// What a run of the program gave.
struct Run {
    code: i32,
    out: Vec<u8>,
    err: String,
}

impl Bench {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quipu"));
        command.args(args).current_dir(self.folder.path());
        command
    }

    /// Runs the program with this on standard input.
    fn feed(&self, args: &[&str], input: &[u8]) -> Run {
        let mut command = self.command(args);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        Run::of(child.wait_with_output().unwrap())
    }

    fn run(&self, args: &[&str]) -> Run {
        self.feed(args, b"")
    }

    /// Runs the program, which must succeed in silence; its output as text.
    fn text(&self, args: &[&str]) -> String {
        let run = self.run(args);
        assert_eq!((run.code, run.err.as_str()), (0, ""), "{args:?}");
        String::from_utf8(run.out).unwrap()
    }

    /// The JSON objects it prints, one a line.
    fn json(&self, args: &[&str]) -> Vec<serde_json::Value> {
        let args = [args, &["--json"]].concat();
        self.text(&args)
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Runs the program, which must fail with this code and say why in one sentence.
    fn fails(&self, code: i32, args: &[&str]) -> String {
        let run = self.run(args);
        assert_eq!(run.code, code, "{args:?}: {}", run.err);
        assert_eq!(run.err.lines().count(), 1, "{args:?}: {}", run.err);
        assert!(
            run.err.starts_with("quipu: ") && !run.err.contains("panicked"),
            "{}",
            run.err
        );
        run.err
    }

    /// An archive of so many lines.
    fn lines(&self, archive: &str, count: usize, more: &[&str]) {
        let text: String = (0..count).map(|n| format!("line {n}\n")).collect();
        let run = self.feed(
            &[&["import", "lines", "-", archive], more].concat(),
            text.as_bytes(),
        );
        assert_eq!(run.code, 0, "{}", run.err);
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }
}

impl Run {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: output.stdout,
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Turns a bit of a file, some bytes from its end.
fn flip(path: &Path, from_end: usize) {
    let mut bytes = fs::read(path).unwrap();
    let at = bytes.len() - from_end;
    bytes[at] ^= 4;
    fs::write(path, bytes).unwrap();
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => copy_folder(&entry.path(), &to.join(entry.file_name())),
            false => {
                fs::write(to.join(entry.file_name()), fs::read(entry.path()).unwrap()).unwrap()
            }
        }
    }
}

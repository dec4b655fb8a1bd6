//! A second opinion on the files: a program that reads a store from the format's text alone.

use crate::model::Expected;
use crate::scenario::{Scenario, hex, unhex};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The program, and whether it can decompress here.
pub struct ReadStore {
    python: String,
    program: PathBuf,
    zstd: bool,
}

impl ReadStore {
    /// `python` runs `program`; it needs the package zstandard for compressed stores.
    pub fn new(python: &str, program: PathBuf) -> Result<Self> {
        ensure!(program.is_file(), "{}: no such program", program.display());
        let mut import = Command::new(python);
        import
            .args(["-c", "import zstandard"])
            .stderr(Stdio::null());
        let zstd = import
            .status()
            .with_context(|| format!("cannot run {python}"))?
            .success();
        Ok(Self {
            python: python.to_owned(),
            program,
            zstd,
        })
    }

    /// Whether it can read this scenario's store.
    pub fn can_read(&self, scenario: &Scenario) -> bool {
        self.zstd || scenario.zstd.is_none()
    }

    /// Reads the store in `dir` and compares it item by item, in the order of the files.
    pub fn check(&self, dir: &Path, scenario: &Scenario, expected: &Expected) -> Result<()> {
        let context = || format!("{}: {} reads", scenario.name, self.program.display());
        let text = self.output(dir, scenario).with_context(context)?;
        let mut lines = text.lines();
        for item in &expected.items {
            let section = scenario.section(item.index);
            let want = (
                section,
                item.index,
                hex(&item.key),
                hex(&prefixed(&item.value)),
            );
            let line = lines
                .next()
                .with_context(|| format!("{}: no {item:?}", context()))?;
            let found = parse(line).with_context(context)?;
            ensure!(
                found == want,
                "{}: expected {want:?}, found {found:?}",
                context()
            );
        }
        let rest = lines.count();
        ensure!(rest == 0, "{}: {rest} items too many", context());
        Ok(())
    }

    fn output(&self, dir: &Path, scenario: &Scenario) -> Result<String> {
        if !dir.join("index").is_dir() {
            return Ok(String::new());
        }
        let mut command = Command::new(&self.python);
        command
            .arg(&self.program)
            .arg(dir)
            .args(["--key-size", "32"]);
        command.args(["--page-size", &scenario.page_size.to_string()]);
        command.args([
            "--items-per-section",
            &scenario.items_per_section.to_string(),
        ]);
        command.args(scenario.zstd.map(|_| "--zstd"));
        let output = command.output()?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8(output.stdout)?)
    }
}

fn parse(line: &str) -> Result<(u64, u64, String, String)> {
    let item: Value = serde_json::from_str(line)?;
    let number = |name: &str| {
        item[name]
            .as_u64()
            .with_context(|| format!("no {name}: {line}"))
    };
    let text = |name: &str| {
        let text = item[name].as_str().filter(|text| unhex(text).is_some());
        text.map(str::to_owned)
            .with_context(|| format!("no {name}: {line}"))
    };
    Ok((
        number("section")?,
        number("index")?,
        text("key")?,
        text("value")?,
    ))
}

/// The value as the codec writes it: its length as an unsigned LEB128, then its bytes.
fn prefixed(value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(value.len() + 5);
    let mut length = value.len();
    while length >= 0x80 {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend_from_slice(value);
    bytes
}

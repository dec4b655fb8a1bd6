//! The engines by name, their programs and their versions.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;

use anyhow::{Context, Result};
use cargo_lock::Lockfile;
use quipu_bench::{Phase, Workload};

/// An engine, and the crate that its version is of.
const ENGINES: [(&str, &str); 9] = [
    ("quipu", "quipu"),
    ("floor", "bench-floor"),
    ("commonware_2026_4_0", "commonware-storage"),
    ("commonware_2026_10_0", "commonware-storage"),
    ("rocksdb", "rocksdb"),
    ("redb", "redb"),
    ("heed", "heed"),
    ("fjall", "fjall"),
    ("parity_db", "parity-db"),
];

/// Variants that are run beside those without one.
const VARIANTS: [(&str, &str); 4] = [
    ("quipu", "memory"),
    ("floor", "mapped"),
    ("rocksdb", "blobs"),
    ("heed", "copied"),
];

/// An engine and a variant of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    engine: String,
    variant: Option<String>,
}

pub(crate) fn all() -> Vec<Name> {
    let with_variants = ENGINES.iter().flat_map(|&(engine, _)| {
        let variants = VARIANTS.iter().filter(move |variant| variant.0 == engine);
        let variants = variants.map(|variant| Some(variant.1.to_owned()));
        std::iter::once(None).chain(variants).map(|variant| Name {
            engine: engine.to_owned(),
            variant,
        })
    });
    with_variants.collect()
}

impl FromStr for Name {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (engine, variant) = match text.split_once(':') {
            Some((engine, variant)) => (engine, Some(variant.to_owned())),
            None => (text, None),
        };
        Ok(Self {
            engine: engine.to_owned(),
            variant,
        })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.engine)?;
        match &self.variant {
            Some(variant) => write!(f, ":{variant}"),
            None => Ok(()),
        }
    }
}

impl Name {
    /// The process of one phase.
    pub(crate) fn command(
        &self,
        programs: &Path,
        dir: &Path,
        phase: Phase,
        workload: &Workload,
    ) -> Command {
        let workload = Workload {
            variant: self.variant.clone(),
            ..workload.clone()
        };
        let mut command = Command::new(self.program(programs));
        command
            .arg(dir)
            .arg(phase.name())
            .args(workload.arguments())
            .stderr(Stdio::inherit());
        command
    }

    pub(crate) fn program(&self, programs: &Path) -> PathBuf {
        programs.join(format!("bench-{}", self.engine.replace('_', "-")))
    }

    /// As the engine's lock file has it, and the library's behind it where the system brings it.
    pub(crate) fn version(&self) -> Result<String> {
        let known = ENGINES.iter().find(|engine| engine.0 == self.engine);
        let (_, package) = known.with_context(|| format!("no engine {self}"))?;
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .with_file_name("engines")
            .join(&self.engine)
            .join("Cargo.lock");
        let lock = Lockfile::load(&path)?;
        let mut packages = lock.packages.iter();
        let found = packages.find(|found| found.name.as_str() == *package);
        let version = found.with_context(|| format!("{package} is not in {}", path.display()))?;
        let version = format!("{package} {}", version.version);
        match self.engine.as_str() {
            "rocksdb" => Ok(format!(
                "{version}, librocksdb {}",
                debian("librocksdb-dev")?
            )),
            _ => Ok(version),
        }
    }
}

fn debian(package: &str) -> Result<String> {
    let output = Command::new("dpkg-query")
        .args(["-W", "-f=${Version}", package])
        .output()?;
    Ok(String::from_utf8(output.stdout)?)
}

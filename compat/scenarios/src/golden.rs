//! Archives that the reference program wrote once, with what it said they hold.

use crate::model::Expected;
use crate::question::{Answer, Question, Want};
use crate::scenario::{Item, Key, Scenario, unhex};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// One archive: its settings, what it holds, and where it is.
pub struct Golden {
    /// The settings; no operations.
    pub scenario: Scenario,
    /// What it holds.
    pub expected: Expected,
    missing: Vec<u64>,
    store: PathBuf,
}

impl Golden {
    /// All archives in a folder that has a folder for each.
    pub fn all(dir: &Path) -> Result<Vec<Self>> {
        let entries = fs::read_dir(dir).with_context(|| dir.display().to_string())?;
        let folders: std::io::Result<Vec<PathBuf>> = entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect();
        let mut folders = folders?;
        folders.retain(|folder| folder.join("expected.json").is_file());
        folders.sort();
        ensure!(!folders.is_empty(), "{}: no golden archive", dir.display());
        folders.iter().map(|folder| Self::load(folder)).collect()
    }

    fn load(folder: &Path) -> Result<Self> {
        let path = folder.join("expected.json");
        let context = || path.display().to_string();
        let text = fs::read_to_string(&path).with_context(context)?;
        let json: Value = serde_json::from_str(&text).with_context(context)?;
        Self::parse(folder, &json).with_context(context)
    }

    fn parse(folder: &Path, json: &Value) -> Result<Self> {
        let name = folder
            .file_name()
            .context("no name")?
            .to_string_lossy()
            .into_owned();
        for (field, want) in [("index_partition", "index"), ("value_partition", "values")] {
            ensure!(json[field] == want, "{field} is not {want}");
        }
        let page_size = u16::try_from(number(&json["logical_page_size"])?)?;
        let items_per_section = number(&json["items_per_section"])?;
        let zstd = json["zstd_level"].as_u64().map(u8::try_from).transpose()?;
        let scenario = Scenario {
            name,
            page_size,
            items_per_section,
            zstd,
            ops: Vec::new(),
        };
        let expected = expected(&scenario, json)?;
        let missing = list(&json["missing_from_0_max_20"])?;
        let missing = missing.iter().map(number).collect::<Result<_>>()?;
        Ok(Self {
            scenario,
            expected,
            missing,
            store: folder.join("store"),
        })
    }

    /// Copies the archive into an empty folder.
    pub fn copy_to(&self, dir: &Path) -> Result<()> {
        copy(&self.store, dir).with_context(|| self.store.display().to_string())
    }

    /// What was read back besides the items.
    pub fn more(&self) -> Vec<(Question, Want)> {
        if self.expected.floor > 0 {
            return Vec::new();
        }
        vec![(
            Question::Missing(0, 20),
            vec![Answer::Indices(self.missing.clone())],
        )]
    }
}

fn expected(scenario: &Scenario, json: &Value) -> Result<Expected> {
    let items = list(&json["items"])?
        .iter()
        .map(item)
        .collect::<Result<Vec<_>>>();
    let mut items = items.context("items")?;
    items.sort_by_key(|item| scenario.section(item.index));
    let pruned = list(&json["pruned"])?.iter();
    let pruned = pruned.map(|one| Ok((number(&one["index"])?, key(&one["key"])?)));
    let pruned = pruned.collect::<Result<Vec<_>>>().context("pruned")?;
    let floor = match (pruned.is_empty(), items.first()) {
        (false, Some(item)) => scenario.section(item.index),
        _ => 0,
    };
    let expected = Expected::new(items, &pruned, floor);
    let runs: Vec<Value> = expected
        .ranges
        .iter()
        .map(|run| vec![run.0, run.1].into())
        .collect();
    ensure!(
        json["ranges"] == Value::Array(runs),
        "ranges do not fit the items"
    );
    Ok(expected)
}

fn item(json: &Value) -> Result<Item> {
    let value = json["value"]
        .as_str()
        .and_then(unhex)
        .context("value is not hex")?;
    Ok(Item {
        index: number(&json["index"])?,
        key: key(&json["key"])?,
        value,
    })
}

fn key(json: &Value) -> Result<Key> {
    let key = json.as_str().and_then(unhex).context("key is not hex")?;
    key.try_into().ok().context("key is not of 32 bytes")
}

fn number(json: &Value) -> Result<u64> {
    json.as_u64()
        .with_context(|| format!("not a number: {json}"))
}

fn list(json: &Value) -> Result<&Vec<Value>> {
    json.as_array()
        .with_context(|| format!("not a list: {json}"))
}

/// Files only get the right to be written: the originals may lack it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy(&entry.path(), &target)?;
        } else if kind.is_file() {
            fs::write(&target, fs::read(entry.path())?)?;
        } else {
            bail!("{}: neither file nor folder", entry.path().display());
        }
    }
    Ok(())
}

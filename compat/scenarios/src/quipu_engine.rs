//! The engine for quipu: the one place of this crate that names the library.

use std::path::Path;

use anyhow::Result;
use quipu::{Archive, Compression, Error, Options, Prefixed, Reader};

use crate::engine::Engine;
use crate::question::{Answer, Question};
use crate::scenario::{Item, KEY_SIZE, Key, Op, Scenario};

pub use quipu::Layout;

type Store = Archive<Key, Prefixed>;

/// Quipu, whose new files get this header.
pub fn engine(layout: Layout) -> Option<Box<dyn Engine>> {
    Some(Box::new(Quipu { layout }))
}

struct Quipu {
    layout: Layout,
}

impl Quipu {
    fn options(&self, scenario: &Scenario) -> Options {
        let compression = match scenario.zstd {
            Some(level) => Compression::Zstd(level.into()),
            None => Compression::Off,
        };
        Options::new()
            .key_size(KEY_SIZE)
            .page_size(scenario.page_size)
            .items_per_section(scenario.items_per_section)
            .layout(self.layout)
            .compression(compression)
    }

    /// Opens quipu's own archive, adopts a store of the reference, or makes a new one.
    fn open(&self, dir: &Path, scenario: &Scenario) -> Result<Store> {
        let ours = dir.join("quipu").join("manifest").exists();
        let theirs = dir.join("index").exists() && dir.join("index").read_dir()?.next().is_some();
        if theirs && !ours {
            self.options(scenario).adopt(dir)?;
        }
        Ok(self.options(scenario).open(dir)?)
    }
}

impl Engine for Quipu {
    fn name(&self) -> String {
        format!("quipu with header layout {:?}", self.layout)
    }

    fn write(&self, dir: &Path, scenario: &Scenario) -> Result<()> {
        let mut store = self.open(dir, scenario)?;
        for op in &scenario.ops {
            match op {
                Op::Put(item) => put(&mut store, item, false)?,
                Op::PutMulti(item) => put(&mut store, item, true)?,
                Op::Sync => store.sync()?,
                Op::Prune(min) => drop(store.prune(*min)?),
                Op::Reopen => {
                    store.close()?;
                    store = self.open(dir, scenario)?;
                }
            }
        }
        Ok(store.close()?)
    }

    fn ask(&self, dir: &Path, scenario: &Scenario, questions: &[Question]) -> Result<Vec<Answer>> {
        let store = self.open(dir, scenario)?;
        questions
            .iter()
            .map(|question| answer(&store, question))
            .collect()
    }
}

fn put(store: &mut Store, item: &Item, multi: bool) -> Result<()> {
    let value = Prefixed::from(item.value.clone());
    let put = match multi {
        true => store.put_multi(item.index, &item.key, &value),
        false => store.put(item.index, &item.key, &value),
    };
    match put {
        Ok(_) | Err(Error::BelowFloor { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn answer(store: &Reader<Key, Prefixed>, question: &Question) -> Result<Answer> {
    let value = |value: Option<Prefixed>| Answer::Value(value.map(|value| value.to_vec()));
    let runs = |runs: Vec<std::ops::RangeInclusive<u64>>| {
        Answer::Runs(
            runs.into_iter()
                .map(std::ops::RangeInclusive::into_inner)
                .collect(),
        )
    };
    Ok(match question {
        Question::Get(index) => value(store.get(*index)?),
        Question::GetAll(index) => {
            let values: Vec<_> = store
                .get_all(*index)?
                .iter()
                .map(|value| value.to_vec())
                .collect();
            Answer::Values((!values.is_empty()).then_some(values))
        }
        Question::GetKey(key) => value(store.get(key)?),
        Question::Has(index) => Answer::Flag(store.has(*index)?),
        Question::HasKey(key) => Answer::Flag(store.has(key)?),
        Question::HasAt(index, key) => Answer::Flag(store.has_at(*index, key)?),
        Question::Items => Answer::Items(store.range(..).map(item).collect::<Result<_>>()?),
        Question::Ranges => runs(store.ranges()),
        Question::RangesFrom(index) => runs(store.ranges_from(*index)),
        Question::NextGap(index) => {
            let (end, next) = store.next_gap(*index);
            Answer::Gap(end, next)
        }
        Question::Missing(index, max) => Answer::Indices(store.missing_items(*index, *max)),
        Question::First => Answer::Index(store.first_index()),
        Question::Last => Answer::Index(store.last_index()),
    })
}

fn item(item: quipu::Result<quipu::Item<Key, Prefixed>>) -> Result<Item> {
    let item = item?;
    Ok(Item {
        index: item.index,
        key: item.key,
        value: item.value.to_vec(),
    })
}

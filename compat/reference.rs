//! The reference program as an engine, the same for each of its versions.

use crate::api;
use anyhow::Result;
use commonware_codec::RangeCfg;
use commonware_runtime::Runner as _;
use commonware_runtime::tokio::{Config as Settings, Context, Runner};
use commonware_storage::archive::prunable::{Archive, Config};
use commonware_storage::archive::{Archive as _, Identifier, MultiArchive as _};
use commonware_storage::translator::FourCap;
use commonware_utils::sequence::FixedBytes;
use quipu_compat_scenarios::{Answer, Engine, Item, KEY_SIZE, Op, Question, Scenario};
use std::num::{NonZeroU16, NonZeroU64, NonZeroUsize};
use std::path::Path;

/// A value; the codec writes its length before it, as an unsigned LEB128.
pub type Value = bytes::Bytes;

/// A key.
pub type Key = FixedBytes<KEY_SIZE>;

/// The archive with these types of key and value.
pub type Store = Archive<FourCap, Context, Key, Value>;

/// How many pages of an index file are held in memory.
const CACHED_PAGES: NonZeroUsize = NonZeroUsize::new(16).unwrap();

/// Small, so that not only a sync writes.
const BUFFER: NonZeroUsize = NonZeroUsize::new(2048).unwrap();

/// The prunable archive; the folder is the storage directory of a runtime of its own.
pub struct Reference;

impl Engine for Reference {
    fn name(&self) -> String {
        api::NAME.to_owned()
    }

    fn write(&self, dir: &Path, scenario: &Scenario) -> Result<()> {
        runtime(dir).start(|context| async move {
            let mut store = open(&context, scenario, 0).await?;
            for (turn, op) in (1..).zip(&scenario.ops) {
                store = match op {
                    Op::Put(item) => put(store, item, false).await?,
                    Op::PutMulti(item) => put(store, item, true).await?,
                    Op::Sync => api::sync(store).await?,
                    Op::Prune(min) => api::prune(store, *min).await?,
                    Op::Reopen => {
                        drop(api::sync(store).await?);
                        open(&context, scenario, turn).await?
                    }
                };
            }
            api::sync(store).await?;
            Ok(())
        })
    }

    fn ask(&self, dir: &Path, scenario: &Scenario, questions: &[Question]) -> Result<Vec<Answer>> {
        runtime(dir).start(|context| async move {
            let store = open(&context, scenario, 0).await?;
            let mut answers = Vec::with_capacity(questions.len());
            for question in questions {
                answers.push(answer(&store, question).await?);
            }
            Ok(answers)
        })
    }
}

fn runtime(dir: &Path) -> Runner {
    Runner::new(
        Settings::new()
            .with_storage_directory(dir)
            .with_worker_threads(1),
    )
}

async fn open(context: &Context, scenario: &Scenario, opening: u64) -> Result<Store> {
    let context = api::context(context, opening);
    let page_size = NonZeroU16::try_from(scenario.page_size)?;
    let config = Config {
        translator: FourCap,
        #[cfg(feature = "metadata")]
        metadata_partition: "metadata".to_owned(),
        key_partition: "index".to_owned(),
        key_page_cache: api::cache(&context, page_size, CACHED_PAGES),
        value_partition: "values".to_owned(),
        compression: scenario.zstd,
        codec_config: RangeCfg::from(..),
        items_per_section: NonZeroU64::try_from(scenario.items_per_section)?,
        key_write_buffer: BUFFER,
        value_write_buffer: BUFFER,
        replay_buffer: BUFFER,
    };
    Ok(Archive::init(context, config).await?)
}

async fn put(store: Store, item: &Item, multi: bool) -> Result<Store> {
    let value = Value::copy_from_slice(&item.value);
    Ok(api::put(store, item.index, key(&item.key), value, multi).await?)
}

fn key(key: &[u8; KEY_SIZE]) -> Key {
    FixedBytes::new(*key)
}

async fn answer(store: &Store, question: &Question) -> Result<Answer> {
    Ok(match question {
        Question::Get(index) => value(store.get(Identifier::Index(*index)).await?),
        Question::GetKey(name) => value(store.get(Identifier::Key(&key(name))).await?),
        Question::GetAll(index) => {
            let values = store.get_all(*index).await?;
            Answer::Values(values.map(|values| values.iter().map(|value| value.to_vec()).collect()))
        }
        Question::Has(index) => Answer::Flag(store.has(Identifier::Index(*index)).await?),
        Question::HasKey(name) => Answer::Flag(store.has(Identifier::Key(&key(name))).await?),
        Question::HasAt(index, name) => match api::has_at(store, *index, &key(name)).await? {
            Some(has) => Answer::Flag(has),
            None => Answer::Unsupported,
        },
        Question::Items => Answer::Unsupported,
        Question::Ranges => Answer::Runs(store.ranges().collect()),
        Question::RangesFrom(index) => Answer::Runs(store.ranges_from(*index).collect()),
        Question::NextGap(index) => {
            let (end, next) = store.next_gap(*index);
            Answer::Gap(end, next)
        }
        Question::Missing(index, max) => Answer::Indices(store.missing_items(*index, *max)),
        Question::First => Answer::Index(store.first_index()),
        Question::Last => Answer::Index(store.last_index()),
    })
}

fn value(value: Option<Value>) -> Answer {
    Answer::Value(value.map(|value| value.to_vec()))
}

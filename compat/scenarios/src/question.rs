//! Questions that every archive answers, and the answers that the model wants.

use crate::model::Expected;
use crate::rng::Rng;
use crate::scenario::{Item, KEY_SIZE, Key, Scenario, hex};
use std::collections::BTreeSet;
use std::fmt;

/// What an archive is asked.
#[derive(Clone, Debug)]
pub enum Question {
    /// The first value at an index.
    Get(u64),
    /// All values at an index, in the order stored.
    GetAll(u64),
    /// The value of a key.
    GetKey(Key),
    /// Whether an index is stored.
    Has(u64),
    /// Whether a key is stored.
    HasKey(Key),
    /// Whether a key is stored at an index.
    HasAt(u64, Key),
    /// All items, by index, those of one index in the order stored.
    Items,
    /// The runs of stored indices.
    Ranges,
    /// The runs from the one that holds or follows an index on.
    RangesFrom(u64),
    /// The end of the run that holds an index, and the start of the next.
    NextGap(u64),
    /// So many missing indices from one on.
    Missing(u64, usize),
    /// The first stored index.
    First,
    /// The last stored index.
    Last,
}

/// What an archive answers.
#[derive(Clone, PartialEq, Eq)]
pub enum Answer {
    /// To `Get` and `GetKey`.
    Value(Option<Vec<u8>>),
    /// To `GetAll`; none where the index holds nothing.
    Values(Option<Vec<Vec<u8>>>),
    /// To the questions that begin with `Has`.
    Flag(bool),
    /// To `Items`.
    Items(Vec<Item>),
    /// To `Ranges` and `RangesFrom`.
    Runs(Vec<(u64, u64)>),
    /// To `NextGap`.
    Gap(Option<u64>, Option<u64>),
    /// To `Missing`.
    Indices(Vec<u64>),
    /// To `First` and `Last`.
    Index(Option<u64>),
    /// To a question that this archive has no call for.
    Unsupported,
}

/// The answers that are right; more than one where a key is stored several times.
pub type Want = Vec<Answer>;

/// The most pruned or absent things of a kind that are asked for.
const SAMPLE: usize = 48;

/// All questions about what a scenario must have stored.
pub fn questions(scenario: &Scenario, expected: &Expected) -> Vec<(Question, Want)> {
    let mut asked = Vec::new();
    let mut ask = |question, answer| asked.push((question, vec![answer]));
    ask(Question::Ranges, Answer::Runs(expected.ranges.clone()));
    ask(
        Question::First,
        Answer::Index(expected.ranges.first().map(|run| run.0)),
    );
    ask(
        Question::Last,
        Answer::Index(expected.ranges.last().map(|run| run.1)),
    );
    by_index(expected, &mut ask);
    around_the_runs(expected, &mut ask);
    absent(scenario, expected, &mut ask);
    asked.extend(by_key(expected));
    asked
}

fn by_index(expected: &Expected, ask: &mut impl FnMut(Question, Answer)) {
    let all = expected.by_index();
    for (index, items) in &all {
        let values: Vec<Vec<u8>> = items.iter().map(|item| item.value.clone()).collect();
        ask(
            Question::Get(*index),
            Answer::Value(values.first().cloned()),
        );
        ask(Question::GetAll(*index), Answer::Values(Some(values)));
        ask(Question::Has(*index), Answer::Flag(true));
    }
    ask(
        Question::Items,
        Answer::Items(all.into_values().flatten().cloned().collect()),
    );
}

fn by_key(expected: &Expected) -> Vec<(Question, Want)> {
    let mut asked = Vec::new();
    for (key, items) in expected.by_key() {
        let values = items
            .iter()
            .map(|item| Answer::Value(Some(item.value.clone())));
        asked.push((Question::GetKey(key), values.collect()));
        asked.push((Question::HasKey(key), vec![Answer::Flag(true)]));
        for item in items {
            asked.push((Question::HasAt(item.index, key), vec![Answer::Flag(true)]));
        }
    }
    asked
}

/// Below the floor engines may differ in what they call missing.
fn around_the_runs(expected: &Expected, ask: &mut impl FnMut(Question, Answer)) {
    for index in edges(expected) {
        let (end, next) = expected.next_gap(index);
        ask(Question::NextGap(index), Answer::Gap(end, next));
        ask(
            Question::RangesFrom(index),
            Answer::Runs(expected.ranges_from(index)),
        );
        if index >= expected.floor {
            for max in [1, 20] {
                let missing = expected.missing_items(index, max);
                ask(Question::Missing(index, max), Answer::Indices(missing));
            }
        }
    }
}

/// Indices at, before and behind the ends of some runs.
fn edges(expected: &Expected) -> BTreeSet<u64> {
    let every = expected.ranges.len().div_ceil(SAMPLE / 4).max(1);
    let runs = expected
        .ranges
        .iter()
        .step_by(every)
        .chain(expected.ranges.last());
    let ends = runs.flat_map(|(start, end)| {
        [
            start.checked_sub(1),
            Some(*start),
            Some(*end),
            end.checked_add(1),
        ]
        .into_iter()
        .flatten()
    });
    ends.chain([0, expected.floor, u64::MAX]).collect()
}

fn absent(scenario: &Scenario, expected: &Expected, ask: &mut impl FnMut(Question, Answer)) {
    let all = expected.by_index();
    let pruned = expected.pruned_indices.iter().copied().take(SAMPLE);
    let free = edges(expected).into_iter().chain(pruned);
    for index in free.filter(|index| !all.contains_key(index)) {
        ask(Question::Get(index), Answer::Value(None));
        ask(Question::GetAll(index), Answer::Values(None));
        ask(Question::Has(index), Answer::Flag(false));
    }
    let unknown = unknown_keys(scenario, expected);
    for key in expected.pruned_keys.iter().take(SAMPLE).chain(&unknown) {
        ask(Question::GetKey(*key), Answer::Value(None));
        ask(Question::HasKey(*key), Answer::Flag(false));
        if let Some(item) = expected.items.first() {
            ask(Question::HasAt(item.index, *key), Answer::Flag(false));
        }
    }
}

/// Keys that were never put; most begin like one that was.
fn unknown_keys(scenario: &Scenario, expected: &Expected) -> Vec<Key> {
    let mut rng = Rng::new(scenario.ops.len() as u64);
    let every = expected.items.len().div_ceil(SAMPLE / 2).max(1);
    let near = expected.items.iter().step_by(every).map(|item| {
        let mut key = item.key;
        key[KEY_SIZE - 1] ^= 0xff;
        key
    });
    let mut keys: Vec<Key> = near.collect();
    let mut far = [0; KEY_SIZE];
    rng.fill(&mut far);
    keys.push(far);
    let known = expected.by_key();
    keys.retain(|key| !known.contains_key(key));
    keys
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(None) | Self::Values(None) => f.write_str("nothing"),
            Self::Value(Some(value)) => f.write_str(&show(value)),
            Self::Values(Some(values)) => f
                .debug_list()
                .entries(values.iter().map(|value| show(value)))
                .finish(),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Items(items) => write!(f, "{} items", items.len()),
            Self::Runs(runs) => write!(f, "{runs:?}"),
            Self::Gap(end, next) => write!(f, "end {end:?}, next {next:?}"),
            Self::Indices(indices) => write!(f, "{indices:?}"),
            Self::Index(index) => write!(f, "{index:?}"),
            Self::Unsupported => f.write_str("no such call"),
        }
    }
}

/// The length of a value and its first bytes.
fn show(value: &[u8]) -> String {
    let more = if value.len() > 16 { "…" } else { "" };
    format!(
        "{} bytes {}{more}",
        value.len(),
        hex(&value[..value.len().min(16)])
    )
}

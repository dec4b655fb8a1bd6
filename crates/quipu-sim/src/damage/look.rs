//! Asks an archive everything about every item, and notes each answer that is not right.

use std::collections::{BTreeMap, BTreeSet};

use quipu::{Error, KeyBytes, Reader, Status, VerifyEvent};

use super::case::{Case, Damage};
use super::outcome::{Fault, Outcome};
use super::shape::Item;

/// What was put, and when it was dropped again.
pub(super) struct Account<'a> {
    pub(super) items: &'a [Item],
    pub(super) former: &'a BTreeSet<Item>,
    /// Whether items of one index were put again, so that their order may be another.
    pub(super) mended: bool,
}

/// Answers about one moment.
pub(super) struct Look<'a> {
    account: &'a Account<'a>,
    reader: &'a Reader<KeyBytes>,
    /// When that is, for messages.
    when: &'static str,
    /// For each item whether it can be read.
    pub(super) readable: Vec<bool>,
}

impl<'a> Look<'a> {
    /// Asks everything but `verify`.
    pub(super) fn at(
        when: &'static str,
        reader: &'a Reader<KeyBytes>,
        account: &'a Account<'a>,
        outcome: &mut Outcome,
    ) -> Self {
        let mut look = Self {
            account,
            reader,
            when,
            readable: Vec::new(),
        };
        for item in account.items {
            let found = look.by_key(item, outcome);
            look.readable.push(found);
        }
        for (index, whole) in look.whole_at_each_index() {
            look.by_index(index, &whole, outcome);
            look.presence(index, !whole.is_empty(), outcome);
        }
        look.scan(outcome);
        look
    }

    fn by_key(&self, item: &Item, outcome: &mut Outcome) -> bool {
        let key = KeyBytes::from(&*item.key);
        let found = match self.reader.get_item(&key) {
            Ok(found) => found,
            Err(error) => {
                self.check_error(&error, outcome);
                return false;
            }
        };
        let Some(found) = found else {
            return false;
        };
        let found = Item {
            index: found.index,
            key: found.key.as_ref().to_vec(),
            value: found.value.to_vec(),
        };
        let right = found == *item;
        if !right {
            self.wrong(&found, outcome);
        }
        if right != self.reader.has(&key).unwrap_or(false) {
            outcome.fault(Fault::Presence, format!("{}: has(key) {item:?}", self.when));
        }
        right
    }

    /// The readable items of each index, in the order stored.
    fn whole_at_each_index(&self) -> BTreeMap<u64, Vec<&'a Item>> {
        let mut at: BTreeMap<u64, Vec<&Item>> = BTreeMap::new();
        for (item, &readable) in self.account.items.iter().zip(&self.readable) {
            let of_index = at.entry(item.index).or_default();
            of_index.extend(readable.then_some(item));
        }
        at
    }

    fn by_index(&self, index: u64, whole: &[&Item], outcome: &mut Outcome) {
        let values = match self.reader.get_all(index) {
            Ok(values) => values,
            Err(error) => {
                self.check_error(&error, outcome);
                Vec::new()
            }
        };
        let first = self.reader.get(index).ok().flatten();
        if first.as_ref() != values.first() {
            let text = format!("{}: get({index}) is not the first of get_all", self.when);
            outcome.fault(Fault::ByIndex, text);
        }
        let mut found: Vec<&[u8]> = values.iter().map(|value| &value[..]).collect();
        let mut expected: Vec<&[u8]> = whole.iter().map(|item| &item.value[..]).collect();
        if self.account.mended {
            found.sort_unstable();
            expected.sort_unstable();
        }
        if found == expected {
            return;
        }
        let mut strange = found.iter().filter(|value| !expected.contains(value));
        let once = |value: &&[u8]| {
            let mut former = self.account.former.iter();
            former.any(|item| item.index == index && item.value == *value)
        };
        let fault = match (strange.next(), found.iter().any(once)) {
            (None, _) => Fault::ByIndex,
            (Some(_), true) => Fault::Former,
            (Some(_), false) => Fault::Wrong,
        };
        let text = format!(
            "{}: at index {index} {} values, by key {}",
            self.when,
            found.len(),
            whole.len()
        );
        outcome.fault(fault, text);
    }

    fn presence(&self, index: u64, whole: bool, outcome: &mut Outcome) {
        let status = self.reader.status(index).ok();
        let expected = if whole {
            Status::Present
        } else {
            Status::Damaged
        };
        if status != Some(expected) {
            let fault = if whole {
                Fault::FalselyDamaged
            } else {
                Fault::NotDamaged
            };
            let text = format!("{}: index {index} is {status:?}", self.when);
            outcome.fault(fault, text);
        }
        let missing = self.reader.missing_items(index, 1).first() == Some(&index);
        let range = self.reader.missing_ranges(index, 1);
        let in_range = range.first().is_some_and(|range| *range.start() == index);
        if missing == whole || in_range == whole {
            let text = format!(
                "{}: index {index}, missing_items {missing}, missing_ranges {in_range}",
                self.when
            );
            outcome.fault(Fault::Missing, text);
        }
        if self.reader.has(index).ok() != Some(whole) {
            outcome.fault(Fault::Presence, format!("{}: has({index})", self.when));
        }
    }

    /// What a scan yields: the readable items, and nothing else.
    fn scan(&self, outcome: &mut Outcome) {
        let found = self.reader.range(..).filter_map(Result::ok);
        let mut found: Vec<Item> = found
            .map(|item| Item {
                index: item.index,
                key: item.key.as_ref().to_vec(),
                value: item.value.to_vec(),
            })
            .collect();
        let whole = self.whole_at_each_index();
        let mut expected: Vec<Item> = whole.into_values().flatten().cloned().collect();
        if self.account.mended {
            found.sort_unstable();
            expected.sort_unstable();
        }
        if found == expected {
            return;
        }
        let strange: Vec<&Item> = found
            .iter()
            .filter(|item| !expected.contains(item))
            .collect();
        strange.iter().for_each(|item| self.wrong(item, outcome));
        if strange.is_empty() {
            let text = format!("{}: {} of {}", self.when, found.len(), expected.len());
            outcome.fault(Fault::Scan, text);
        }
    }

    fn wrong(&self, found: &Item, outcome: &mut Outcome) {
        let fault = match self.account.former.contains(found) {
            true => Fault::Former,
            false => Fault::Wrong,
        };
        outcome.fault(fault, format!("{}: {found:?}", self.when));
    }

    fn check_error(&self, error: &Error, outcome: &mut Outcome) {
        if !error.is_corruption() {
            outcome.fault(Fault::OddError, format!("{}: {error}", self.when));
        }
    }

    /// Verifies: what is lost is told, with its file, and nothing else.
    pub(super) fn verify(&self, case: &Case, outcome: &mut Outcome) {
        let (mut told, mut lost) = (Vec::new(), Vec::new());
        let verified = self.reader.verify(&mut |event| match event {
            VerifyEvent::Damage(damage) => told.push(damage.error.to_string()),
            VerifyEvent::Unreadable { error, .. } | VerifyEvent::File { error, .. } => {
                told.push(error.to_string());
            }
            VerifyEvent::Lost(run) => lost.push(run),
            _ => {}
        });
        let report = match verified {
            Ok(report) => report,
            Err(error) => {
                return outcome.fault(Fault::VerifyFails, format!("{}: {error}", self.when));
            }
        };
        let nothing_whole = |(index, whole): (u64, Vec<&Item>)| whole.is_empty().then_some(index);
        let at_each = self.whole_at_each_index().into_iter();
        let gone: BTreeSet<u64> = at_each.filter_map(nothing_whole).collect();
        for index in &gone {
            if !lost.iter().any(|run| run.contains(index)) {
                outcome.fault(Fault::VerifySilent, format!("{}: {index}", self.when));
            }
        }
        if report.lost_indices > gone.len() as u128 {
            let text = format!("{}: {lost:?} for {gone:?}", self.when);
            outcome.fault(Fault::Phantom, text);
        }
        let all = self.readable.iter().all(|&readable| readable);
        if !all && !names(&told, case) {
            let text = format!("{}: told {told:?}", self.when);
            outcome.fault(Fault::VerifyNamesNoFile, text);
        }
    }
}

/// Whether one of the messages names the damaged file, or the one it was swapped with.
fn names(told: &[String], case: &Case) -> bool {
    let mut files = vec![case.file.to_string()];
    if let Damage::Swap { with } = &case.damage {
        files.push(with.to_string());
    }
    let is_named = |error: &String| files.iter().any(|file| error.contains(file));
    told.iter().any(is_named)
}

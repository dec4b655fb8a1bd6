//! What must be stored after a scenario: a model that keeps everything in a list.

use crate::scenario::{Item, Key, Op, Scenario};
use std::collections::{BTreeMap, BTreeSet};

/// What an archive must hold.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// The items in the order of the files: by section, in a section as they were put.
    pub items: Vec<Item>,
    /// The runs of stored indices, both ends inclusive, ascending.
    pub ranges: Vec<(u64, u64)>,
    /// Keys that were stored and of which a prune left no item.
    pub pruned_keys: Vec<Key>,
    /// Indices that were stored and that a prune dropped.
    pub pruned_indices: Vec<u64>,
    /// The first index that is not pruned.
    pub floor: u64,
}

impl Expected {
    /// Carries out a scenario.
    pub fn of(scenario: &Scenario) -> Self {
        let mut model = Model {
            scenario,
            sections: BTreeMap::new(),
            pruned: Vec::new(),
            floor: 0,
        };
        for op in &scenario.ops {
            match op {
                Op::Put(item) => model.put(item, false),
                Op::PutMulti(item) => model.put(item, true),
                Op::Prune(min) => model.prune(*min),
                Op::Sync | Op::Reopen => {}
            }
        }
        Self::new(
            model.sections.into_values().flatten().collect(),
            &model.pruned,
            model.floor,
        )
    }

    /// `items` in the order of the files, and index and key of what was pruned.
    pub fn new(items: Vec<Item>, pruned: &[(u64, Key)], floor: u64) -> Self {
        let live: BTreeSet<Key> = items.iter().map(|item| item.key).collect();
        let keys: BTreeSet<Key> = pruned.iter().map(|pruned| pruned.1).collect();
        let indices: BTreeSet<u64> = pruned.iter().map(|pruned| pruned.0).collect();
        let ranges = runs(items.iter().map(|item| item.index).collect());
        Self {
            items,
            ranges,
            pruned_keys: keys.difference(&live).copied().collect(),
            pruned_indices: indices.into_iter().collect(),
            floor,
        }
    }

    /// Values by index, in the order stored.
    pub fn by_index(&self) -> BTreeMap<u64, Vec<&Item>> {
        let mut all: BTreeMap<u64, Vec<&Item>> = BTreeMap::new();
        for item in &self.items {
            all.entry(item.index).or_default().push(item);
        }
        all
    }

    /// Values by key.
    pub fn by_key(&self) -> BTreeMap<Key, Vec<&Item>> {
        let mut all: BTreeMap<Key, Vec<&Item>> = BTreeMap::new();
        for item in &self.items {
            all.entry(item.key).or_default().push(item);
        }
        all
    }

    /// The end of the run that holds `index`, and the start of the next run after it.
    pub fn next_gap(&self, index: u64) -> (Option<u64>, Option<u64>) {
        let holding = self
            .ranges
            .iter()
            .find(|(start, end)| (*start..=*end).contains(&index));
        let next = self.ranges.iter().find(|(start, _)| *start > index);
        (holding.map(|run| run.1), next.map(|run| run.0))
    }

    /// Up to `max` indices from `start` on that are not stored and lie before a later stored one.
    pub fn missing_items(&self, start: u64, max: usize) -> Vec<u64> {
        let mut missing = Vec::new();
        let mut from = Some(start);
        for (first, last) in self.ranges_from(start) {
            let Some(at) = from else { break };
            missing.extend((at..first).take(max - missing.len()));
            from = last.checked_add(1);
        }
        missing
    }

    /// The runs from the one that holds or follows `index` on.
    pub fn ranges_from(&self, index: u64) -> Vec<(u64, u64)> {
        let from = self.ranges.partition_point(|(_, end)| *end < index);
        self.ranges[from..].to_vec()
    }
}

struct Model<'a> {
    scenario: &'a Scenario,
    sections: BTreeMap<u64, Vec<Item>>,
    pruned: Vec<(u64, Key)>,
    floor: u64,
}

impl Model<'_> {
    fn put(&mut self, item: &Item, multi: bool) {
        if item.index < self.floor {
            return;
        }
        let section = self
            .sections
            .entry(self.scenario.section(item.index))
            .or_default();
        if multi || section.iter().all(|stored| stored.index != item.index) {
            section.push(item.clone());
        }
    }

    fn prune(&mut self, min: u64) {
        self.floor = self.floor.max(self.scenario.section(min));
        let kept = self.sections.split_off(&self.floor);
        let dropped = std::mem::replace(&mut self.sections, kept);
        let dropped = dropped.into_values().flatten();
        self.pruned
            .extend(dropped.map(|item| (item.index, item.key)));
    }
}

fn runs(indices: BTreeSet<u64>) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for index in indices {
        match runs.last_mut() {
            Some(run) if run.1.checked_add(1) == Some(index) => run.1 = index,
            _ => runs.push((index, index)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(indices: &[u64]) -> Expected {
        let item = |index: &u64| Item {
            index: *index,
            key: [0; 32],
            value: Vec::new(),
        };
        Expected::new(indices.iter().map(item).collect(), &[], 0)
    }

    #[test]
    fn gaps_of_two_runs() {
        let all = stored(&(1..=10).chain(21..=30).collect::<Vec<_>>());
        assert_eq!(all.next_gap(5), (Some(10), Some(21)));
        assert_eq!(all.next_gap(11), (None, Some(21)));
        assert_eq!(all.next_gap(25), (Some(30), None));
        assert_eq!(all.next_gap(40), (None, None));
        assert_eq!(all.missing_items(5, 3), [11, 12, 13]);
        assert!(all.missing_items(25, 9).is_empty());
    }

    #[test]
    fn missing_between_single_items() {
        let all = stored(&[1, 2, 5, 6, 10]);
        assert_eq!(all.missing_items(0, 5), [0, 3, 4, 7, 8]);
        assert_eq!(all.missing_items(3, 3), [3, 4, 7]);
        assert_eq!(all.missing_items(7, 10), [7, 8, 9]);
        assert!(all.missing_items(11, 5).is_empty());
    }

    #[test]
    fn both_ends_of_the_order() {
        let all = stored(&[0, u64::MAX]);
        assert_eq!(all.ranges, [(0, 0), (u64::MAX, u64::MAX)]);
        assert_eq!(all.next_gap(u64::MAX), (Some(u64::MAX), None));
        assert!(all.missing_items(u64::MAX, 3).is_empty());
        assert_eq!(all.ranges_from(1), [(u64::MAX, u64::MAX)]);
    }

    #[test]
    fn a_taken_index_and_a_pruned_one_take_no_put() {
        let item = |index, byte| Item {
            index,
            key: [byte; 32],
            value: vec![byte],
        };
        let ops = vec![
            Op::Put(item(1, 1)),
            Op::Put(item(1, 2)),
            Op::PutMulti(item(5, 3)),
            Op::PutMulti(item(5, 4)),
            Op::Prune(6),
            Op::PutMulti(item(3, 5)),
        ];
        let name = String::new();
        let scenario = Scenario {
            name,
            page_size: 8,
            items_per_section: 4,
            zstd: None,
            ops,
        };
        let expected = Expected::of(&scenario);
        assert_eq!(expected.items, [item(5, 3), item(5, 4)]);
        assert_eq!(expected.pruned_keys, [[1; 32]]);
        assert_eq!((expected.floor, expected.pruned_indices), (4, vec![1]));
    }
}

//! Comparing what an archive shows with what the model knows.

use std::collections::BTreeSet;

use super::{Model, Pending, Stored, Sure};
use crate::look::{Item, Seen};

/// What an archive that is compared went through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// It is open since the last step: what was stored is there.
    Live,
    /// As live, but a flush failed and took what it should have written.
    Shaken,
    /// It was opened: what was durable is there.
    Opened,
    /// A reader of another process looks: what was durable is there, and the floor.
    Beside,
}

impl Model {
    /// What an archive shows is allowed, and nothing is lacking.
    pub fn compare(&self, seen: &Seen, expect: Expect) -> Result<(), String> {
        if self.is_destroyed(seen, expect) {
            return Ok(());
        }
        self.compare_floor(seen, expect)?;
        if !self.suspect && expect != Expect::Shaken {
            self.compare_damage(seen)?;
        }
        let mut indices: BTreeSet<u64> = self.items.keys().copied().collect();
        indices.extend(seen.items.keys());
        for index in indices {
            let of_model = self.items.get(&index).map_or(&[][..], Vec::as_slice);
            let of_seen = seen.items.get(&index).map_or(&[][..], Vec::as_slice);
            let required = |item: &Stored| self.requires(item, seen, expect);
            if !fits(of_seen, of_model, &required) {
                return Err(self.describe(index, of_seen, of_model));
            }
        }
        Ok(())
    }

    /// Takes what an open showed for what is there from now on.
    pub fn settle(&mut self, seen: &Seen) {
        if self.is_destroyed(seen, Expect::Opened) {
            // Of an archive of which nothing can be read, or nothing has survived, nobody knows whether it is gone.
            let kept = (self.scarred, self.mixed, std::mem::take(&mut self.damaged));
            self.destroyed();
            (self.scarred, self.mixed, self.damaged) = kept;
        }
        if self.pending == Some(Pending::Adopt) && seen.floor == 0 {
            // Adopted sections have one compression.
            self.mixed = false;
        }
        self.floor = seen.floor;
        self.pending = None;
        let damaged = &self.damaged;
        let suspect = self.suspect;
        for (index, items) in &mut self.items {
            if suspect || damaged.contains(index) {
                // What cannot be read today may be read tomorrow.
                continue;
            }
            let of_seen = seen.items.get(index).map_or(&[][..], Vec::as_slice);
            *items = matched(of_seen, items, self.scarred, self.unwritten);
        }
        let floor = self.floor;
        self.items
            .retain(|&index, items| index >= floor && !items.is_empty());
    }

    fn is_destroyed(&self, seen: &Seen, expect: Expect) -> bool {
        let may_be = self.pending == Some(Pending::Destroy) && expect == Expect::Opened;
        may_be && seen.items.is_empty() && seen.floor == 0
    }

    fn compare_floor(&self, seen: &Seen, expect: Expect) -> Result<(), String> {
        let other = match self.pending {
            Some(Pending::Prune(floor)) => floor,
            Some(Pending::Adopt) => 0,
            _ => self.floor,
        };
        let allowed = match expect {
            Expect::Beside => seen.floor == self.floor,
            _ => seen.floor == self.floor || seen.floor == other,
        };
        match allowed || self.suspect {
            true => Ok(()),
            false => Err(format!(
                "the floor is {}, expected {} or {other}",
                seen.floor, self.floor
            )),
        }
    }

    fn compare_damage(&self, seen: &Seen) -> Result<(), String> {
        let unexpected = seen.damaged.difference(&self.damaged).next();
        match unexpected {
            Some(index) => Err(format!(
                "index {index} is damaged, though nothing damaged it"
            )),
            None if seen.broken && !self.scarred => {
                Err("a range gives an error, though nothing is damaged".to_owned())
            }
            None => Ok(()),
        }
    }

    /// Whether an item has to be there.
    fn requires(&self, item: &Stored, seen: &Seen, expect: Expect) -> bool {
        let index = item.put.index;
        if self.suspect || self.damaged.contains(&index) || index < seen.floor {
            return false;
        }
        if let Some(Pending::Rewind(above)) = self.pending
            && index > above
        {
            // All of it was done, or nothing.
            let undone = seen.items.keys().any(|&seen| seen > above);
            return expect == Expect::Opened && undone && item.sure == Sure::Durable;
        }
        match expect {
            Expect::Live => item.sure != Sure::Doubtful,
            Expect::Opened | Expect::Beside | Expect::Shaken => item.sure == Sure::Durable,
        }
    }

    fn describe(&self, index: u64, seen: &[Item], model: &[Stored]) -> String {
        let seen: Vec<String> = seen
            .iter()
            .map(|(key, value)| {
                let known = self.items.values().flatten();
                let mut same = known.filter(|item| item.put.value() == *value);
                match same.next() {
                    Some(of) if of.put.key() == *key => format!("item {}", of.put),
                    _ => format!("key {key:02x?} and {} bytes nobody put", value.len()),
                }
            })
            .collect();
        let model: Vec<String> = model
            .iter()
            .map(|item| format!("item {} ({:?})", item.put, item.sure))
            .collect();
        format!(
            "index {index} (section {}) has {seen:?}, expected {model:?}; pending {:?}",
            self.settings.section_of(index),
            self.pending
        )
    }
}

fn is_same((key, value): &Item, stored: &Stored) -> bool {
    *key == stored.put.key() && *value == stored.put.value()
}

/// Whether what is seen is what was put, in the order of the puts, with nothing required left out.
fn fits(seen: &[Item], model: &[Stored], required: &dyn Fn(&Stored) -> bool) -> bool {
    match (seen.split_first(), model.split_first()) {
        (None, None) => true,
        (Some(_), None) => false,
        (None, Some((item, rest))) => !required(item) && fits(seen, rest, required),
        (Some((found, others)), Some((item, rest))) => {
            (is_same(found, item) && fits(others, rest, required))
                || (!required(item) && fits(seen, rest, required))
        }
    }
}

/// The items of the model that are seen, durable now, unless they may be unwritten; with damage those too that may come back.
fn matched(seen: &[Item], model: &[Stored], scarred: bool, unwritten: bool) -> Vec<Stored> {
    let mut seen = seen.iter().peekable();
    let mut kept = Vec::new();
    for item in model {
        if seen.next_if(|found| is_same(found, item)).is_some() {
            let sure = match item.sure {
                Sure::Stored | Sure::Doubtful if unwritten => Sure::Doubtful,
                _ => Sure::Durable,
            };
            kept.push(Stored { sure, ..*item });
        } else if scarred && item.sure == Sure::Doubtful {
            // It was lost to damage, and zeroed bytes may read as it again.
            kept.push(*item);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::{Put, Settings};

    fn put(index: u64, number: u32) -> Put {
        Put {
            index,
            number,
            len: 9,
        }
    }

    fn seen(puts: &[Put]) -> Seen {
        let mut seen = Seen::default();
        for put in puts {
            let at = seen.items.entry(put.index).or_default();
            at.push((put.key(), put.value()));
        }
        seen
    }

    fn model() -> Model {
        let mut model = Model::new(Settings::default());
        model.put(put(1, 1), Sure::Durable);
        model.put(put(1, 2), Sure::Stored);
        model.put(put(9, 3), Sure::Stored);
        model
    }

    #[test]
    fn the_least_and_the_most_that_may_survive() {
        let (one, two, nine) = (put(1, 1), put(1, 2), put(9, 3));
        let model = model();
        let opened = |puts: &[Put]| model.compare(&seen(puts), Expect::Opened);
        for allowed in [&[one][..], &[one, two], &[one, nine], &[one, two, nine]] {
            assert_eq!(opened(allowed), Ok(()));
        }
        for wrong in [&[][..], &[two], &[two, one], &[one, one], &[one, put(9, 4)]] {
            assert!(opened(wrong).is_err(), "{wrong:?}");
        }
        let live = model.compare(&seen(&[one, nine]), Expect::Live);
        assert!(live.is_err());
    }

    #[test]
    fn a_rewind_is_done_or_not_done() {
        let mut model = model();
        model.put(put(10, 4), Sure::Durable);
        model.put(put(11, 5), Sure::Durable);
        model.pending = Some(Pending::Rewind(9));
        let opened = |puts: &[Put]| model.compare(&seen(puts), Expect::Opened).is_ok();
        assert!(opened(&[put(1, 1)]));
        assert!(opened(&[put(1, 1), put(10, 4), put(11, 5)]));
        assert!(!opened(&[put(1, 1), put(10, 4)]));
    }

    #[test]
    fn what_an_open_showed_is_durable() {
        let mut model = model();
        model.settle(&seen(&[put(1, 1), put(9, 3)]));
        let opened = |puts: &[Put]| model.compare(&seen(puts), Expect::Opened).is_ok();
        assert!(opened(&[put(1, 1), put(9, 3)]));
        assert!(!opened(&[put(1, 1)]));
        assert!(!opened(&[put(1, 1), put(1, 2), put(9, 3)]));
    }
}

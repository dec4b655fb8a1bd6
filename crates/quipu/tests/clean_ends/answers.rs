//! All public calls, and what they answer, as text.

use std::fmt::Debug;

use super::*;
use quipu::{Id, Result, ScrubOptions, VerifyEvent};

const ITEMS: std::ops::Range<u64> = 0..42;

/// A call, or some that answer by the same way, on an archive that was just opened.
pub(crate) type Question = (&'static str, fn(&mut Store) -> String);

fn told<T: Debug>(answer: &Result<T>) -> String {
    match answer {
        Ok(answer) => format!("{answer:?}"),
        Err(error) => format!("error {error}"),
    }
}

fn each_index<T: Debug>(mut ask: impl FnMut(u64) -> Result<T>) -> String {
    let answers = ITEMS.map(|index| told(&ask(index)));
    answers.collect::<Vec<_>>().join("\n")
}

fn all(items: impl Iterator<Item = Result<quipu::Item<[u8; 8]>>>) -> String {
    let answers = items.map(|item| told(&item.map(|item| item.index)));
    answers.collect::<Vec<_>>().join("\n")
}

/// Everything that can be asked, and done.
pub(crate) const QUESTIONS: &[Question] = &[
    ("recovery", |store| format!("{:?}", store.recovery())),
    ("get by index", |store| each_index(|of| store.get(of))),
    ("get by key", |store| {
        each_index(|of| store.get(&key::<8>(of)))
    }),
    ("get backwards", |store| {
        each_index(|of| store.get(&key::<8>(41 - of)))
    }),
    ("get item", |store| {
        each_index(|of| store.get_item(Id::Key(&key::<8>(of))))
    }),
    ("key of", |store| each_index(|of| store.key_of(of))),
    ("get all", |store| each_index(|of| store.get_all(of))),
    ("get many", |store| {
        each_index(|of| store.get_many([of, 41 - of]))
    }),
    ("get many keys", |store| {
        each_index(|of| store.get_many(&[key::<8>(of), key(41 - of)]))
    }),
    ("has", |store| each_index(|of| store.has(of))),
    ("has key", |store| each_index(|of| store.has(&key::<8>(of)))),
    ("has at", |store| {
        each_index(|of| store.has_at(of, &key(of)))
    }),
    ("status", |store| each_index(|of| store.status(of))),
    ("next gap", |store| each_index(|of| Ok(store.next_gap(of)))),
    ("missing items", |store| {
        format!("{:?}", store.missing_items(0, 100))
    }),
    ("missing ranges", |store| {
        format!("{:?}", store.missing_ranges(0, 100))
    }),
    ("ranges", |store| format!("{:?}", store.ranges())),
    ("ranges from", |store| {
        format!("{:?}", store.ranges_from(12))
    }),
    ("first and last", |store| {
        format!("{:?}", (store.first_index(), store.last_index()))
    }),
    ("range", |store| all(store.range(..))),
    ("range backwards", |store| all(store.range(3..30).rev())),
    ("stats", |store| {
        let stats = store.stats();
        let items = (stats.items_tracked, stats.damaged, stats.sections);
        format!("{items:?} {} {}", stats.disk_index, stats.disk_values)
    }),
    ("sections", |store| format!("{:?}", store.sections())),
    ("verify", |store| {
        let mut events = Vec::new();
        let report = store.verify(&mut |event| {
            if !matches!(event, VerifyEvent::Progress { .. }) {
                events.push(format!("{event:?}"));
            }
        });
        format!("{} {events:?}", told(&report))
    }),
    ("plan of a repair", |store| told(&store.plan_repair())),
    ("repair", |store| {
        let repaired = told(&store.repair());
        format!("{repaired} {:?}", store.ranges())
    }),
    ("put", |store| {
        let puts = each_index(|of| store.put(of, &key(of + 100), b"new"));
        let synced = told(&store.sync());
        format!("{puts} {synced} {}", each_index(|of| store.get(of)))
    }),
    ("put one", |store| {
        let put = told(&store.put(12, &key(112), b"new"));
        format!("{put} {} {:?}", told(&store.get(12)), store.ranges())
    }),
    ("put multi", |store| {
        let put = told(&store.put_multi_sync(12, &key(112), b"new"));
        format!("{put} {} {:?}", told(&store.get_all(12)), store.ranges())
    }),
    ("put batch", |store| {
        let items = ITEMS.map(|of| (of, key::<8>(of + 100), b"new"));
        let stored = told(&store.put_batch(items));
        format!("{stored} {}", each_index(|of| store.get(of)))
    }),
    ("prune", |store| {
        let pruned = told(&store.prune(20));
        let stats = store.stats();
        format!("{pruned} {} {:?}", stats.indices_pruned, store.ranges())
    }),
    ("rewind", |store| {
        let rewound = told(&store.rewind(13));
        format!("{rewound} {:?} {}", store.ranges(), told(&store.status(14)))
    }),
    ("scrub", |store| {
        let scrub = store.scrub(ScrubOptions::new().passes(1));
        let progress = scrub.and_then(|mut scrub| scrub.step(1 << 30));
        let progress = progress.map(|of| (of.total, of.done, of.findings));
        format!("{} {:?}", told(&progress), store.ranges())
    }),
    ("sync", |store| {
        let synced = told(&store.sync());
        format!("{synced} {:?}", store.ranges())
    }),
    ("a reader", |store| {
        let reader = store.reader();
        format!("{:?} {:?}", reader.ranges(), reader.last_index())
    }),
];

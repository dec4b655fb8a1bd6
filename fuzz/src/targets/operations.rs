//! Operations of an archive on a machine that stops, and whose calls fail, against a model that
//! knows what must be there.
//!
//! A put that was followed by a sync must be there after any crash, unless it was pruned or
//! rewound; anything that is there must have been put. The simulator (`quipu-sim`) asks far more of
//! a run; what this target adds is that coverage leads it.

use std::collections::BTreeMap;
use std::sync::Arc;

use quipu::storage::simulated::{Fault, Simulated, Survival, When};
use quipu::{Archive, Bytes, Options, Put, Result, Status};

use crate::canary;
use crate::input::Input;
use crate::limit;
use crate::shapes::{fail, limits};

type Any = Archive<[u8; 4], Bytes>;

/// Steps that one input makes at most.
const MOST_STEPS: usize = 200;
/// Bytes that a run may take: the machine keeps a log and all pending writes.
const MOST_BYTES: usize = 64 << 20;

const FAULTS: [Fault; 6] = [
    Fault::ErrorBefore,
    Fault::ErrorAfter,
    Fault::ShortWrite,
    Fault::NoSpace,
    Fault::FlushFails,
    Fault::ReadError,
];

/// What is known of the items.
#[derive(Default)]
struct Model {
    /// index -> values that it may have, as they were put
    may: BTreeMap<u64, Vec<Bytes>>,
    /// index -> the value that is durable
    must: BTreeMap<u64, Bytes>,
    /// Put and not synced.
    pending: BTreeMap<u64, Bytes>,
    floor: u64,
}

struct Run {
    machine: Simulated,
    archive: Option<Any>,
    model: Model,
    items_per_section: u64,
    page_size: u16,
    /// None where no tables are made.
    keys_per_table: Option<u64>,
    next: u8,
}

pub(crate) fn run(input: &mut Input<'_>) {
    // Tables are then made by the thread that writes, and a run does the same each time.
    quipu::seed_random_numbers(Some(7));
    let machine = Simulated::new(input.number());
    let sections = input.u8();
    let mut run = Run {
        machine,
        archive: None,
        model: Model::default(),
        items_per_section: [1, 4, 16, u64::MAX][usize::from(sections) % 4],
        page_size: [28, 50, 100, 4084][input.below(4)],
        keys_per_table: [None, None, Some(1), Some(6)][usize::from(sections) / 64],
        next: 0,
    };
    limit::within(MOST_BYTES, || {
        for _ in 0..MOST_STEPS {
            if input.is_empty() {
                break;
            }
            run.step(input);
        }
        run.crash(Survival::Nothing, 1);
        run.check();
    });
    quipu::seed_random_numbers(None);
}

impl Run {
    fn options(&self) -> Options {
        let options = limits()
            .items_per_section(self.items_per_section)
            .page_size(self.page_size);
        match self.keys_per_table {
            Some(keys) => options.max_open_files(32).keys_per_table(keys),
            None => options,
        }
    }

    /// The archive, opened where it is not. A machine that starts anew after a crash has no
    /// faults: there it must open.
    fn archive(&mut self) -> &mut Any {
        let archive = match self.archive.take() {
            Some(archive) => archive,
            None => self.open().unwrap_or_else(|_| {
                self.crash(Survival::Bytes, 7);
                self.open().unwrap_or_else(|error| fail(&error))
            }),
        };
        self.archive.insert(archive)
    }

    fn open(&self) -> Result<Any> {
        self.options().open_on(Arc::new(self.machine.clone()))
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.below(16) {
            0..=6 => self.put(input),
            7..=9 => self.sync(),
            10 => self.prune(u64::from(input.u8() % 64)),
            11 => self.rewind(u64::from(input.u8() % 64)),
            12 => {
                let call = self.machine.calls() + u64::from(input.u8() % 40);
                let when = if input.flag() {
                    When::Before
                } else {
                    When::After
                };
                self.machine.stop_at(call, when);
            }
            13 => {
                let call = self.machine.calls() + u64::from(input.u8() % 40);
                self.machine.inject(call, FAULTS[input.below(FAULTS.len())]);
            }
            14 => {
                self.archive = None;
                self.check();
            }
            _ => {
                let survival = Survival::EVERY[input.below(Survival::EVERY.len())];
                self.crash(survival, input.number());
                self.check();
            }
        }
    }

    fn put(&mut self, input: &mut Input<'_>) {
        let index = match input.flag() {
            true => u64::from(input.u8() % 64),
            false => self
                .archive()
                .last_index()
                .map_or(0, |last| last.saturating_add(1)),
        };
        self.next = self.next.wrapping_add(1);
        let value = Bytes::from(vec![self.next; usize::from(input.u8())]);
        // Before: a put that fails may have had its effect.
        self.model.may.entry(index).or_default().push(value.clone());
        match self.archive().put(index, &key(index), &value) {
            Ok(Put::Stored) => _ = self.model.pending.insert(index, value),
            Ok(Put::Exists) => {}
            Err(error) => self.failed(&error),
        }
        if canary::is_on() {
            // The planted defect: a caller that takes a put for durable.
            self.model.believe();
        }
    }

    fn sync(&mut self) {
        let synced = self.archive().sync();
        self.done(synced, Model::believe);
    }

    fn prune(&mut self, min: u64) {
        let floor = min - min % self.items_per_section;
        // From here on they may be gone.
        self.model.must = self.model.must.split_off(&floor);
        self.model.pending = self.model.pending.split_off(&floor);
        let pruned = self.archive().prune(min);
        self.done(pruned.map(drop), |model| {
            model.floor = model.floor.max(floor)
        });
    }

    fn rewind(&mut self, index: u64) {
        let above = index.saturating_add(1);
        self.model.must.split_off(&above);
        let rewound = self.archive().rewind(index);
        self.done(rewound, |model| {
            model.may.split_off(&above);
            model.pending.split_off(&above);
            model.believe();
        });
    }

    fn done(&mut self, result: Result<()>, then: impl FnOnce(&mut Model)) {
        match result {
            Ok(()) => then(&mut self.model),
            Err(error) => self.failed(&error),
        }
    }

    /// An archive that failed refuses writes; it is opened again.
    fn failed(&mut self, error: &quipu::Error) {
        if matches!(error, quipu::Error::BelowFloor { .. }) {
            return;
        }
        self.archive = None;
        self.model.pending.clear();
        if self.machine.is_stopped() {
            self.crash(Survival::Bytes, 11);
        }
    }

    fn crash(&mut self, survival: Survival, seed: u64) {
        self.machine.stop();
        self.archive = None;
        self.machine = self.machine.after_crash(survival, seed);
        self.model.pending.clear();
    }

    /// What must be there is, and what is there may be. A read that fails because its call does is
    /// no answer: it is asked again on a machine that has no faults.
    fn check(&mut self) {
        self.model.pending.clear();
        self.archive();
        if self.try_check().is_err() {
            self.crash(Survival::All, 3);
            self.archive();
            self.try_check().unwrap_or_else(|error| fail(&error));
        }
    }

    fn try_check(&self) -> Result<()> {
        let Some(archive) = &self.archive else {
            return Ok(());
        };
        let (model, floor) = (&self.model, archive.floor());
        assert!(floor >= model.floor, "{floor} below {}", model.floor);
        for (index, value) in model.must.range(floor..) {
            assert_eq!(archive.get(*index)?.as_ref(), Some(value), "index {index}");
            assert_eq!(
                archive.get(&key(*index))?.as_ref(),
                Some(value),
                "key of {index}"
            );
            assert_eq!(archive.status(*index)?, Status::Present, "{index}");
        }
        for item in archive.range(..) {
            let item = item?;
            let may = model
                .may
                .get(&item.index)
                .map(Vec::as_slice)
                .unwrap_or_default();
            assert!(
                may.contains(&item.value) && item.key == key(item.index),
                "{item:?}"
            );
        }
        Ok(())
    }
}

impl Model {
    /// What was put is durable.
    fn believe(&mut self) {
        self.must.append(&mut self.pending);
    }
}

fn key(index: u64) -> [u8; 4] {
    (index as u32).to_le_bytes()
}

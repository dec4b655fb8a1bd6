//! Any bytes as the key tables of an archive whose other files are whole.
//!
//! Tables are derived: whatever their bytes are, every item is there by its index, and nothing wrong is read.
//! Where checksums were made right again, so that what is behind them is looked at, a table may hide keys;
//! where they were not, or where the table is an older one or another archive's, every item is found by its
//! key as well.

use crate::canary;
use crate::exercise::Exercise;
use crate::files::Files;
use crate::input::Input;
use crate::table::{Table, is_name, name};
use crate::tabled::{Tabled, tabled};

/// Changes that one input may make.
const MOST_CHANGES: usize = 12;

pub(crate) fn run(input: &mut Input<'_>) {
    let base = tabled(usize::from(input.u8()));
    // Tables are then made by the thread that writes: an input does the same each time.
    quipu::seed_random_numbers(Some(9));
    let mut files = base.files.clone();
    let mut lies = false;
    for _ in 0..input.below(MOST_CHANGES) {
        lies |= change(base, &mut files, input);
    }
    if canary::is_on() {
        careless(&files);
    }
    let options = || base.shape.options();
    let exercise = Exercise::of(&files, &options);
    match lies {
        true => exercise.without_keys().run(input),
        false => exercise.run(input),
    }
    quipu::seed_random_numbers(None);
}

fn names(files: &Files) -> Vec<String> {
    let keys = files.0.keys().filter(|(partition, _)| partition == "quipu");
    keys.map(|(_, name)| name.clone())
        .filter(|name| is_name(name))
        .collect()
}

/// Changes a table, or which there are; whether one says with right checksums what is not so.
fn change(base: &Tabled, files: &mut Files, input: &mut Input<'_>) -> bool {
    let names = names(files);
    let Some(of) = names.get(input.below(names.len().max(1))) else {
        return false;
    };
    let bytes = files.get_mut("quipu", of);
    match input.below(12) {
        0 | 1 => change_bytes(bytes, input),
        2 => {
            let older = &base.older[input.below(base.older.len())];
            *files.get_mut("quipu", &older.0) = older.1.clone();
        }
        3 => *bytes = base.others[input.below(base.others.len())].clone(),
        4 => _ = files.0.remove(&("quipu".to_owned(), of.clone())),
        5 => {
            // A page in another's place.
            let (from, to) = (input.below(8) * Table::PAGE, input.below(8) * Table::PAGE);
            if bytes.len() >= from.max(to) + Table::PAGE {
                bytes.copy_within(from..from + Table::PAGE, to);
            }
        }
        6 => {
            let copy = bytes.clone();
            let suffix = if input.below(8) == 1 { ".new" } else { "" };
            *files.get_mut("quipu", &(name(input.number()) + suffix)) = copy;
        }
        way => return change_meaning(bytes, way, input),
    }
    false
}

fn change_bytes(bytes: &mut Vec<u8>, input: &mut Input<'_>) {
    let at = input.below(bytes.len().max(1));
    match input.below(6) {
        0 | 1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= input.u8();
            }
        }
        2 => bytes.truncate(at),
        3 => bytes.resize(bytes.len() + input.below(9000), input.u8()),
        4 => {
            let end = bytes.len().min(at + 512);
            bytes[at.min(end)..end].fill(0);
        }
        _ => *bytes = input.string().to_vec(),
    }
}

/// Changes words, and makes the checksums of their pages right again.
fn change_meaning(bytes: &mut [u8], way: usize, input: &mut Input<'_>) -> bool {
    let Some(mut table) = Table::of(bytes) else {
        return false;
    };
    match way {
        7 => {
            let (page, word) = (input.below(8), input.below(32));
            table.set(page, word, input.number());
        }
        8 => table.set(0, input.below(7), input.number()),
        9 => {
            // Ordinals are looked up in the claims: any, under a key that is asked for.
            let slot = input.below(table.slots().max(1));
            let ordinal = input.number() & ((1 << table.bits()) - 1);
            let key = table.slot(slot) >> table.bits() << table.bits();
            table.set_slot(slot, key | ordinal);
        }
        10 => {
            let claim = input.below(table.claims().max(1));
            let [section, epoch, from, to] = table.claim(claim);
            let moved = input.number();
            let len = to.wrapping_sub(from);
            let of = table.claim(input.below(table.claims().max(1)));
            let (section, epoch) = match input.below(3) {
                0 => (of[0], of[1]),
                1 => (input.number(), epoch),
                _ => (section, epoch),
            };
            table.set_claim(claim, [section, epoch, moved, moved.wrapping_add(len)]);
        }
        _ => {
            // Fewer bits of a key, and more of an ordinal.
            table.set(0, Table::BITS_AT, input.below(32) as u64);
        }
    }
    true
}

/// The planted defect: a reader that believes what a header says of where claims are.
fn careless(files: &Files) {
    for name in names(files) {
        let bytes = files.0.get(&("quipu".to_owned(), name));
        let mut bytes = bytes.cloned().unwrap_or_default();
        if let Some(table) = Table::of(&mut bytes) {
            let at = table.claims_at().wrapping_mul(Table::PAGE);
            let end = at.wrapping_add(table.claims().wrapping_mul(32));
            let _ = std::hint::black_box(&bytes[at..end]);
        }
    }
}

//! Every target over its corpus and some thousand inputs of a fixed seed.
//!
//! `QUIPU_FUZZ_INPUTS` and `QUIPU_FUZZ_SEED` make it more, or others.

use std::sync::Mutex;

use quipu_fuzz::{Target, plain};

/// Memory is counted for the whole process, so targets run one after the other.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn smoke(target: Target, inputs: u64) {
    let _alone = ONE_AT_A_TIME
        .lock()
        .unwrap_or_else(|error| error.into_inner());
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seed = number("QUIPU_FUZZ_SEED").unwrap_or(1);
    let inputs = number("QUIPU_FUZZ_INPUTS").unwrap_or(inputs);
    let found = plain::search(target, seed, inputs);
    if let Some(find) = found {
        let kept = plain::keep(target, &find).unwrap();
        panic!("{target:?} fails at input {}, see {kept:?}", find.after);
    }
}

#[test]
fn section_files() {
    smoke(Target::SectionFiles, 1500);
}

#[test]
fn manifest() {
    smoke(Target::Manifest, 1500);
}

#[test]
fn key_tables() {
    smoke(Target::KeyTables, 1500);
}

#[test]
fn adopt() {
    smoke(Target::Adopt, 1500);
}

#[test]
fn codecs() {
    smoke(Target::Codecs, 5000);
}

#[test]
fn operations() {
    smoke(Target::Operations, 1000);
}

#[test]
fn program() {
    smoke(Target::Program, 5000);
}

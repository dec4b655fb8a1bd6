//! Any bytes as the section files of an archive whose manifest is whole.

use crate::canary;
use crate::exercise::Exercise;
use crate::files::Files;
use crate::input::Input;
use crate::section::{Field, Parts};
use crate::shapes::{Base, base, limits};

use super::script;

const PARTITIONS: [&str; 2] = ["index", "values"];

pub(crate) fn run(input: &mut Input<'_>) {
    let base = base(usize::from(input.u8()));
    let mut files = base.files.clone();
    // Marks and files that do not fit, or no marks at all.
    if input.flag() {
        files.0.remove(&("quipu".to_owned(), "marks".to_owned()));
    }
    script::change_meaning(base, &mut files, input);
    if canary::is_on() {
        careless(base, &files);
    }
    script::change_bytes(&mut files, &PARTITIONS, input);
    Exercise::of(&files, &limits).run(input);
}

/// The planted defect: a reader that believes where an entry says that its value ends.
fn careless(base: &Base, files: &Files) {
    let sizes = base.shape.sizes();
    for ((partition, name), index) in &files.0 {
        let values = files.0.get(&("values".to_owned(), name.clone()));
        let Some(values) = values.filter(|_| partition == "index") else {
            continue;
        };
        let parts = Parts::of(index, values, sizes);
        for entry in 0..parts.len(sizes) {
            let (offset, size) = (
                parts.get(sizes, entry, Field::Offset),
                parts.get(sizes, entry, Field::Size),
            );
            let _ = &parts.values[offset as usize..offset.wrapping_add(size) as usize];
        }
    }
}

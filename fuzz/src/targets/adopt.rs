//! Any folder of files as a store to adopt, with any options.

use quipu::index::{EightCap, OneCap};
use quipu::{Compression, Layout, Options};

use crate::canary;
use crate::exercise::Exercise;
use crate::files::Files;
use crate::input::Input;
use crate::shapes::{Base, base, limits};

use super::script;

const PARTITIONS: [&str; 4] = ["index", "values", "metadata", "metadata-before-quipu"];

pub(crate) fn run(input: &mut Input<'_>) {
    let base = base(usize::from(input.u8()));
    let mut files = base.files.clone();
    files.0.retain(|(partition, _), _| partition != "quipu");
    if input.flag() {
        // The marks that the other program keeps.
        for name in ["6c656674", "7269676874"] {
            *files.get_mut("metadata", name) = input.string().to_vec();
        }
    }
    script::change_meaning(base, &mut files, input);
    script::change_bytes(&mut files, &PARTITIONS, input);
    let given = Given::choose(base, input);
    if canary::is_on() {
        careless(&files, &given);
    }
    Exercise::of(&files, &|| given.options()).adopt_and_run(input);
}

/// The options that the store is adopted with.
struct Given {
    key_size: usize,
    page_size: u16,
    items_per_section: u64,
    compression: Option<Compression>,
    layout: Option<Layout>,
    one_byte_keys: bool,
}

impl Given {
    /// Mostly those that the store was written with.
    fn choose(base: &Base, input: &mut Input<'_>) -> Self {
        let sizes = base.shape.sizes();
        let mut given = Self {
            key_size: sizes.key,
            page_size: sizes.page as u16,
            items_per_section: base.shape.items_per_section,
            compression: base.shape.compression(),
            layout: None,
            one_byte_keys: input.flag(),
        };
        for _ in 0..input.below(4) {
            match input.below(8) {
                0 => given.key_size = input.below(300),
                1 => given.page_size = input.number() as u16,
                2 => given.items_per_section = input.number(),
                3 => given.compression = Some(Compression::Zstd(input.u8().into())),
                4 => given.compression = Some(Compression::Off),
                5 => given.layout = Some(Layout::V0),
                6 => given.layout = Some(Layout::V1),
                _ => given.compression = None,
            }
        }
        given
    }

    fn options(&self) -> Options {
        let mut options = limits()
            .key_size(self.key_size)
            .page_size(self.page_size)
            .items_per_section(self.items_per_section);
        if let Some(compression) = self.compression {
            options = options.compression(compression);
        }
        if let Some(layout) = self.layout {
            options = options.layout(layout);
        }
        match self.one_byte_keys {
            true => options.translator(OneCap),
            false => options.translator(EightCap),
        }
    }
}

/// The planted defect: one that takes the number in the last file's name for a count, and makes room
/// for so many.
fn careless(files: &Files, given: &Given) {
    let last = files.0.keys().rfind(|(partition, _)| partition == "index");
    let number = last.and_then(|(_, name)| u64::from_str_radix(name, 16).ok());
    if let Some(number) = number.filter(|_| given.items_per_section == 8) {
        crate::limit::within(1 << 20, || {
            Vec::<u8>::with_capacity((number >> 40) as usize)
        });
    }
}

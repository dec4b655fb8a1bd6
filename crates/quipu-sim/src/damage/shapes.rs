//! The shapes: like the golden archives, and what these do not have, in both layouts of headers.

use quipu::index::OneCap;
use quipu::{Compression, Layout, Options, seed_random_numbers};

use super::shape::{Fallible, Script, Shape};

type Write = fn(Options) -> Fallible<Shape>;

/// Every shape that this crate writes.
const SHAPES: [(&str, Write); 15] = [
    ("plain", plain),
    ("zstd", zstd),
    ("synced-each-put", synced_each_put),
    ("gaps", gaps),
    ("multi", multi),
    ("pruned", pruned),
    ("aligned", aligned),
    ("one-item-a-section", one_item_a_section),
    ("rewound", rewound),
    ("rewound-out-of-order", rewound_out_of_order),
    ("compressed-later", compressed_later),
    ("large-values", large_values),
    ("empty-values", empty_values),
    ("partly-filled", partly_filled),
    ("one-byte-keys", one_byte_keys),
];

/// Shapes with key tables, which are the same in both layouts.
const TABLED: [(&str, Write); 3] = [
    ("tables", tables),
    ("tables-merged", tables_merged),
    ("tables-rewound", tables_rewound),
];
/// How many keys a table of these begins with.
const KEYS_PER_TABLE: u64 = 6;
/// What random numbers are drawn from while they are written: another for each, and none that a check draws from.
const TABLED_SEED: u64 = 1 << 32;

/// Writes every shape in both layouts, and those with key tables.
pub fn written() -> Fallible<Vec<Shape>> {
    let mut shapes = Vec::new();
    for (name, write) in SHAPES {
        for (layout, suffix) in [(Layout::V0, "v0"), (Layout::V1, "v1")] {
            let mut shape = write(Options::new().layout(layout))?;
            shape.name = format!("{name}-{suffix}");
            shapes.push(shape);
        }
    }
    for (seed, (name, write)) in (TABLED_SEED..).zip(TABLED) {
        // Tables are made by the thread that writes then.
        seed_random_numbers(Some(seed));
        let shape = write(Options::new());
        seed_random_numbers(None);
        let mut shape = shape?.keys_per_table(KEYS_PER_TABLE);
        name.clone_into(&mut shape.name);
        shapes.push(shape);
    }
    Ok(shapes)
}

fn in_order(options: Options) -> Fallible<Shape> {
    let options = options.items_per_section(16).page_size(256);
    let mut script = Script::new(options, 32)?;
    for index in 0..40 {
        script.put(index, (index * 7 % 53) as usize)?;
        if index % 13 == 12 {
            script.sync()?;
        }
    }
    script.finish("")
}

fn plain(options: Options) -> Fallible<Shape> {
    in_order(options)
}

fn zstd(options: Options) -> Fallible<Shape> {
    in_order(options.compression(Compression::Zstd(3)))
}

/// Pages that were written again and again, with both slots; entries straddle them.
fn synced_each_put(options: Options) -> Fallible<Shape> {
    let options = options.items_per_section(64).page_size(100);
    let mut script = Script::new(options, 32)?;
    for index in 0..21 {
        script.put(index, 9)?.sync()?;
    }
    script.finish("")
}

fn gaps(options: Options) -> Fallible<Shape> {
    let options = options.items_per_section(10).page_size(256);
    let mut script = Script::new(options, 32)?;
    let last = u64::MAX - u64::MAX % 10;
    for index in [7, 3, 25, 20, 1_000_003, 41, 8, last, last + 3, 1_000_001, 0] {
        script.put(index, 17)?;
        if index % 2 == 0 {
            script.sync()?;
        }
    }
    script.finish("")
}

fn multi(options: Options) -> Fallible<Shape> {
    let options = options.items_per_section(8).page_size(100);
    let mut script = Script::new(options, 16)?;
    for index in [1, 1, 1, 2, 9, 9, 30, 1, 12, 30, 12, 12] {
        script.put(index, 11 + index as usize)?.sync()?;
    }
    script.finish("")
}

fn pruned(options: Options) -> Fallible<Shape> {
    let options = options.items_per_section(8).page_size(100);
    let mut script = Script::new(options, 8)?;
    for index in 0..44 {
        script.put(index, 10)?;
        if index % 10 == 9 {
            script.sync()?;
        }
    }
    script.prune(18)?.put(44, 10)?.sync()?.prune(27)?;
    script.finish("")
}

/// The page size of the defaults: a page takes 4,096 bytes on disk.
fn aligned(options: Options) -> Fallible<Shape> {
    let mut script = Script::new(options.items_per_section(512), 32)?;
    for index in 0..90 {
        script.put(index, 3)?;
    }
    script.sync()?.put(90, 3)?;
    script.finish("")
}

fn one_item_a_section(options: Options) -> Fallible<Shape> {
    let options = options.items_per_section(1).page_size(40);
    let mut script = Script::new(options, 8)?;
    for index in [4, 5, 7, 6, 9, 8] {
        script.put(index, 12)?.sync()?;
    }
    script.finish("")
}

/// Rewound inside a section, then put on with other keys and values.
fn rewound(options: Options) -> Fallible<Shape> {
    let options = options.items_per_section(16).page_size(100);
    let mut script = Script::new(options, 16)?;
    for index in 0..26 {
        script.put(index, 13)?;
    }
    script.sync()?.rewind(9)?;
    for index in 10..20 {
        script.put(index, 15)?;
    }
    script.reopen(|options| options)?.rewind(17)?;
    script.put(18, 9)?.put(19, 9)?;
    script.finish("")
}

/// A rewind that writes an index file anew, and leaves values that no entry names.
fn rewound_out_of_order(options: Options) -> Fallible<Shape> {
    let options = options.items_per_section(16).page_size(60);
    let mut script = Script::new(options, 8)?;
    for index in [0, 9, 1, 8, 2, 7, 3, 6] {
        script.put(index, 14)?.sync()?;
    }
    script.rewind(6)?.put(4, 14)?.put(5, 14)?.sync()?;
    script.put(17, 14)?.put(18, 14)?;
    script.finish("")
}

/// Compression is switched on, and off again, while sections are half full.
fn compressed_later(options: Options) -> Fallible<Shape> {
    let options = options.items_per_section(8).page_size(100);
    let mut script = Script::new(options, 8)?;
    for index in 0..12 {
        script.put(index, 40)?;
    }
    script.reopen(|options| options.compression(Compression::Zstd(3)))?;
    for index in 12..20 {
        script.put(index, 40)?;
    }
    script.reopen(|options| options.compression(Compression::Off))?;
    for index in 20..27 {
        script.put(index, 40)?;
    }
    script.finish("")
}

/// Values that are larger than the buffer they are gathered in, beside small ones.
fn large_values(options: Options) -> Fallible<Shape> {
    let options = options.items_per_section(8).page_size(100).write_buffer(64);
    let mut script = Script::new(options, 8)?;
    for index in 0..11 {
        script.put(index, if index % 3 == 0 { 700 } else { 5 })?;
    }
    script.sync()?.put(11, 300)?;
    script.finish("")
}

fn empty_values(options: Options) -> Fallible<Shape> {
    let options = options.items_per_section(8).page_size(100);
    let mut script = Script::new(options, 8)?;
    for index in 0..20 {
        script.put(index, usize::from(index % 5 == 3))?;
    }
    script.finish("")
}

fn partly_filled(options: Options) -> Fallible<Shape> {
    let options = options.items_per_section(8).page_size(100);
    let mut script = Script::new(options, 16)?;
    for index in [2, 9, 17, 3, 33, 12, 35, 21, 0, 34, 14, 26] {
        script.put(index, 12)?;
        if index % 3 == 0 {
            script.sync()?;
        }
    }
    script.finish("")
}

/// Keys that are no longer than their short forms.
fn one_byte_keys(options: Options) -> Fallible<Shape> {
    let options = options
        .items_per_section(16)
        .page_size(50)
        .translator(OneCap);
    let mut script = Script::new(options, 1)?;
    for index in 0..40 {
        script.put(index, 8)?;
        if index % 9 == 8 {
            script.sync()?;
        }
    }
    script.finish("")
}

/// Begins an archive in small sections whose keys go into tables six by six.
fn tabled(options: Options) -> Fallible<Script> {
    let options = options.items_per_section(8).page_size(100);
    Script::new(options.keys_per_table(KEYS_PER_TABLE), 8)
}

/// Puts items in order, and syncs after six each.
fn put_in_sixes(script: &mut Script, indices: std::ops::Range<u64>) -> Fallible<()> {
    for (nth, index) in (1..).zip(indices) {
        script.put(index, 11)?;
        if nth % KEYS_PER_TABLE == 0 {
            script.sync()?;
        }
    }
    Ok(())
}

/// Three tables, and a section that is in two of them.
fn tables(options: Options) -> Fallible<Shape> {
    let mut script = tabled(options)?;
    put_in_sixes(&mut script, 0..18)?;
    script.finish("")
}

/// Four tables that were merged into one, and two more behind it.
fn tables_merged(options: Options) -> Fallible<Shape> {
    let mut script = tabled(options)?;
    put_in_sixes(&mut script, 0..36)?;
    script.finish("")
}

/// Tables from before and after a rewind and a prune; earlier copies of them name what is gone.
fn tables_rewound(options: Options) -> Fallible<Shape> {
    let mut script = tabled(options)?;
    put_in_sixes(&mut script, 0..18)?;
    script.reopen(|options| options)?.rewind(11)?;
    put_in_sixes(&mut script, 12..20)?;
    script.reopen(|options| options)?.prune(8)?.put(20, 11)?;
    script.finish("")
}

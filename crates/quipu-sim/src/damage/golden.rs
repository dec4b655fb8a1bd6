//! The golden archives: what commonware-storage wrote, adopted.

use std::collections::BTreeSet;
use std::fs;
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use quipu::storage::{Memory, OpenMode, Storage};
use quipu::{Archive, Compression, KeyBytes, Options};

use super::format::Format;
use super::shape::{Fallible, Item, Shape, shape};

const KEY_SIZE: usize = 32;
const VERSIONS: [&str; 2] = ["2026.4.0", "2026.10.0"];

/// Name, page size, items per section, whether it is compressed.
const STORES: [(&str, u16, u64, bool); 7] = [
    ("plain", 1024, 16, false),
    ("zstd", 1024, 16, true),
    ("synced-each-put", 100, 64, false),
    ("gaps", 256, 10, false),
    ("multi", 256, 8, false),
    ("pruned", 512, 32, false),
    ("aligned", 4084, 512, false),
];

/// Adopts a copy of every golden archive.
pub fn adopted() -> Fallible<Vec<Shape>> {
    let mut shapes = Vec::new();
    for version in VERSIONS {
        for (name, page_size, items_per_section, compressed) in STORES {
            let store = folder().join(version).join(name).join("store");
            let mut options = Options::new()
                .key_size(KEY_SIZE)
                .page_size(page_size)
                .items_per_section(items_per_section);
            if compressed {
                options = options.compression(Compression::Zstd(3));
            }
            shapes.push(adopt(&store, options, format!("{name}-{version}"))?);
        }
    }
    Ok(shapes)
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../quipu/tests/golden")
}

fn adopt(store: &Path, options: Options, name: String) -> Fallible<Shape> {
    let memory = Memory::new();
    for partition in ["index", "values"] {
        for entry in fs::read_dir(store.join(partition))? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let blob = memory.open(partition, &name, OpenMode::Create)?;
            blob.write_at(&[IoSlice::new(&fs::read(&path)?)], 0)?;
        }
    }
    let storage: Arc<dyn Storage> = Arc::new(memory.clone());
    let recovery = options.adopt_on(Arc::clone(&storage))?;
    if !recovery.is_clean() {
        return Err(format!("{name}: {recovery:?}").into());
    }
    let archive: Archive<KeyBytes> = Options::new().open_on(storage)?;
    let settings = archive.settings();
    let format = Format {
        key_size: settings.key_size,
        page_size: settings.page_size.into(),
        items_per_section: settings.items_per_section,
    };
    let items = items(&archive)?;
    archive.close()?;
    shape(name, format, &memory, items, BTreeSet::new(), Vec::new())
}

/// Every item; that these are the ones of the reference program is for `tests/golden.rs` of the
/// library to say.
fn items(archive: &Archive<KeyBytes>) -> Fallible<Vec<Item>> {
    let items = archive.range(..).map(|item| {
        let item = item?;
        Ok(Item {
            index: item.index,
            key: item.key.as_ref().to_vec(),
            value: item.value.to_vec(),
        })
    });
    items.collect()
}

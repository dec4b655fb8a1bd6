//! parity-db: hash tables in mapped files.
//!
//! It acknowledges a commit before it is on disk, and has no call that waits for the disk: its puts
//! are not durable when they return, and no comparison with the others' is fair.

use std::path::Path;

use anyhow::Result;
use parity_db::{Db, Options};
use quipu_bench::{Engine, Item, Key, OnValue, Workload, row, worker};

const ITEMS: u8 = 0;
const KEYS: u8 = 1;

fn main() -> Result<()> {
    worker::main::<ParityDb>()
}

struct ParityDb(Db);

impl Engine for ParityDb {
    fn open(dir: &Path, _: &Workload) -> Result<Self> {
        let mut options = Options::with_columns(dir, 2);
        options.columns[usize::from(KEYS)].uniform = true;
        options.stats = false;
        Ok(Self(Db::open_or_create(&options)?))
    }

    fn put_batch(&self, batch: &[Item]) -> Result<()> {
        let changes = batch.iter().flat_map(|item| {
            let mut row = Vec::new();
            row::encode(item, &mut row);
            let index = row::sortable(item.index);
            [
                (ITEMS, index.to_vec(), Some(row)),
                (KEYS, item.key.to_vec(), Some(index.to_vec())),
            ]
        });
        Ok(self.0.commit(changes)?)
    }

    fn get(&self, index: u64, on: OnValue<'_>) -> Result<bool> {
        let Some(row) = self.0.get(ITEMS, &row::sortable(index))? else {
            return Ok(false);
        };
        on(row::split(&row)?.1);
        Ok(true)
    }

    fn get_by_key(&self, key: &Key, on: OnValue<'_>) -> Result<bool> {
        match self.0.get(KEYS, key)? {
            Some(found) => self.get(row::index(&found)?, on),
            None => Ok(false),
        }
    }

    fn prune(&self, min: u64) -> Result<()> {
        // Indices go by thousands, from the newest that is dropped to the first that is not there.
        let mut end = min;
        let mut more = true;
        while more && end > 0 {
            let mut changes = Vec::new();
            let start = end.saturating_sub(1_000);
            for index in (start..end).rev() {
                let index = row::sortable(index);
                let Some(row) = self.0.get(ITEMS, &index)? else {
                    more = false;
                    break;
                };
                changes.push((ITEMS, index.to_vec(), None));
                changes.push((KEYS, row::split(&row)?.0.to_vec(), None));
            }
            self.0.commit(changes)?;
            end = start;
        }
        Ok(())
    }

    fn close(self) -> Result<()> {
        drop(self.0);
        Ok(())
    }
}

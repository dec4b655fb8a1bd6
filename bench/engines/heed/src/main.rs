//! LMDB: a copy-on-write B-tree in one mapped file.
//!
//! It hands out bytes in its map, without a copy or a check. The variant `copied` does what the
//! others do: it keeps a CRC with each value, checks it, and copies the value out.

use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use crc_fast::CrcAlgorithm::Crc32Iscsi;
use heed::byteorder::BigEndian;
use heed::types::{Bytes, U64};
use heed::{Database, Env, EnvOpenOptions, RoTxn, WithTls};
use quipu_bench::{Engine, Item, Key, OnValue, Workload, row, worker};

/// Address space, not memory: more than any workload fills.
const MAP: usize = 256 << 30;

fn main() -> Result<()> {
    worker::main::<Heed>()
}

struct Heed {
    env: Env,
    items: Database<U64<BigEndian>, Bytes>,
    keys: Database<Bytes, U64<BigEndian>>,
    copied: bool,
}

fn crc(bytes: &[u8]) -> u32 {
    crc_fast::checksum(Crc32Iscsi, bytes) as u32
}

impl Heed {
    fn lend(&self, row: &[u8], on: OnValue<'_>) -> Result<()> {
        let mut value = row::split(row)?.1;
        if self.copied {
            let sum;
            (value, sum) = value
                .split_last_chunk()
                .context("a value ends with a sum")?;
            let copy = value.to_vec();
            ensure!(crc(&copy).to_le_bytes() == *sum, "a value is damaged");
            on(&copy);
        } else {
            on(value);
        }
        Ok(())
    }

    fn get_in(
        &self,
        transaction: &RoTxn<'_, WithTls>,
        index: u64,
        on: OnValue<'_>,
    ) -> Result<bool> {
        let row = self.items.get(transaction, &index)?;
        row.map(|row| self.lend(row, on)).transpose()?;
        Ok(row.is_some())
    }
}

impl Engine for Heed {
    const VARIANTS: &'static [&'static str] = &["copied"];

    fn open(dir: &Path, workload: &Workload) -> Result<Self> {
        // SAFETY: the folder is this process's alone, nothing else changes the file.
        let env = unsafe { EnvOpenOptions::new().map_size(MAP).max_dbs(2).open(dir)? };
        let mut transaction = env.write_txn()?;
        let items = env.create_database(&mut transaction, Some("items"))?;
        let keys = env.create_database(&mut transaction, Some("keys"))?;
        transaction.commit()?;
        Ok(Self {
            env,
            items,
            keys,
            copied: workload.variant.is_some(),
        })
    }

    fn put_batch(&self, batch: &[Item]) -> Result<()> {
        let mut transaction = self.env.write_txn()?;
        let mut bytes = Vec::new();
        for item in batch {
            row::encode(item, &mut bytes);
            if self.copied {
                bytes.extend_from_slice(&crc(&item.value).to_le_bytes());
            }
            self.items.put(&mut transaction, &item.index, &bytes)?;
            self.keys.put(&mut transaction, &item.key, &item.index)?;
        }
        Ok(transaction.commit()?)
    }

    fn get(&self, index: u64, on: OnValue<'_>) -> Result<bool> {
        self.get_in(&self.env.read_txn()?, index, on)
    }

    fn get_by_key(&self, key: &Key, on: OnValue<'_>) -> Result<bool> {
        let transaction = self.env.read_txn()?;
        match self.keys.get(&transaction, key)? {
            Some(index) => self.get_in(&transaction, index, on),
            None => Ok(false),
        }
    }

    fn scan(&self, indices: Range<u64>, on: OnValue<'_>) -> Result<u64> {
        let mut count = 0;
        let transaction = self.env.read_txn()?;
        for entry in self.items.range(&transaction, &indices)? {
            self.lend(entry?.1, on)?;
            count += 1;
        }
        Ok(count)
    }

    fn prune(&self, min: u64) -> Result<()> {
        let mut transaction = self.env.write_txn()?;
        let mut dropped = Vec::new();
        for entry in self.items.range(&transaction, &(..min))? {
            dropped.push(*row::split(entry?.1)?.0);
        }
        self.items.delete_range(&mut transaction, &(..min))?;
        for key in dropped {
            self.keys.delete(&mut transaction, &key)?;
        }
        Ok(transaction.commit()?)
    }

    fn close(self) -> Result<()> {
        self.env.prepare_for_closing().wait();
        Ok(())
    }
}

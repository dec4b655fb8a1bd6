//! What the disk holds: for each file and folder what is there now, and what a loss of power leaves.
//!
//! ```text
//! write, resize     change what is there now, and note which pages differ from the durable ones
//! flush of a file   makes its noted pages and its length durable
//! flush of a folder makes its names durable
//! failed flush      the noted pages are forgotten: as on Linux, no later flush saves them
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};

use fuser::Errno;

/// The number of the root folder.
pub const ROOT: u64 = 1;
const PAGE: usize = 4096;
const SECTOR: usize = 512;

/// Which call fails, counted from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    #[default]
    None,
    /// The n-th flush, of a file or a folder. What it should have saved is gone: to be read until
    /// the loss of power, or (`evicted`) at once no more.
    Flush { nth: u64, evicted: bool },
    /// The n-th write, half of which is done.
    Write(u64),
    /// The n-th write, or the next one of more than a byte, does half of its bytes and says so;
    /// nothing fails.
    ShortWrite(u64),
    /// From the n-th write on there is no room to write more.
    NoSpace(u64),
    /// The n-th read.
    Read(u64),
    /// The n-th call that changes or flushes anything, and every call after it.
    Stop(u64),
}

/// What a loss of power leaves of what was not flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surviving {
    Nothing,
    /// Each sector, length and name by chance.
    Some(u64),
}

/// Calls so far.
#[derive(Clone, Copy, Debug, Default)]
struct Calls {
    flushes: u64,
    writes: u64,
    reads: u64,
    changes: u64,
}

#[derive(Clone, Debug, Default)]
pub struct File {
    pub now: Vec<u8>,
    durable: Vec<u8>,
    /// Pages that may differ, and were not lost by a flush.
    dirty: BTreeSet<usize>,
    /// How many names it has now.
    pub names: u32,
}

#[derive(Clone, Debug, Default)]
pub struct Folder {
    pub now: BTreeMap<OsString, u64>,
    durable: BTreeMap<OsString, u64>,
}

#[derive(Clone, Debug)]
pub enum Node {
    File(File),
    Folder(Folder),
}

/// The disk.
#[derive(Clone, Debug)]
pub struct Disk {
    nodes: BTreeMap<u64, Node>,
    next: u64,
    fault: Fault,
    calls: Calls,
    fired: bool,
}

type Done<T> = Result<T, Errno>;

impl Disk {
    /// An empty one.
    pub fn new() -> Self {
        Self {
            nodes: [(ROOT, Node::Folder(Folder::default()))].into(),
            next: ROOT + 1,
            fault: Fault::None,
            calls: Calls::default(),
            fired: false,
        }
    }

    /// From now on this call fails, counted anew.
    pub fn set_fault(&mut self, fault: Fault) {
        self.fault = fault;
        self.calls = Calls::default();
        self.fired = false;
    }

    /// Whether the fault struck.
    pub fn fired(&self) -> bool {
        self.fired
    }

    /// Takes the power away, and gives it back: what was durable is there, without a fault.
    pub fn cut(&mut self, surviving: Surviving) {
        let mut chance = match surviving {
            Surviving::Nothing => None,
            Surviving::Some(seed) => Some(fastrand::Rng::with_seed(seed)),
        };
        for node in self.nodes.values_mut() {
            match node {
                Node::File(file) => file.cut(chance.as_mut()),
                Node::Folder(folder) => folder.cut(chance.as_mut()),
            }
        }
        let mut names: BTreeMap<u64, u32> = BTreeMap::new();
        for node in self.nodes.values() {
            if let Node::Folder(folder) = node {
                folder
                    .now
                    .values()
                    .for_each(|&of| *names.entry(of).or_default() += 1);
            }
        }
        for (number, node) in &mut self.nodes {
            if let Node::File(file) = node {
                file.names = names.get(number).copied().unwrap_or(0);
            }
        }
        self.set_fault(Fault::None);
    }

    pub fn node(&self, number: u64) -> Done<&Node> {
        self.nodes.get(&number).ok_or(Errno::ENOENT)
    }

    fn file(&mut self, number: u64) -> Done<&mut File> {
        match self.nodes.get_mut(&number) {
            Some(Node::File(file)) => Ok(file),
            Some(Node::Folder(_)) => Err(Errno::EISDIR),
            None => Err(Errno::ENOENT),
        }
    }

    fn folder(&mut self, number: u64) -> Done<&mut Folder> {
        match self.nodes.get_mut(&number) {
            Some(Node::Folder(folder)) => Ok(folder),
            Some(Node::File(_)) => Err(Errno::ENOTDIR),
            None => Err(Errno::ENOENT),
        }
    }

    pub fn lookup(&mut self, folder: u64, name: &OsStr) -> Done<u64> {
        let found = self.folder(folder)?.now.get(name);
        found.copied().ok_or(Errno::ENOENT)
    }

    /// A call that changes or flushes something.
    fn change(&mut self) -> Done<()> {
        self.calls.changes += 1;
        match self.fault {
            Fault::Stop(nth) if self.calls.changes >= nth => {
                self.fired = true;
                Err(Errno::EIO)
            }
            _ => Ok(()),
        }
    }

    pub fn add(&mut self, folder: u64, name: &OsStr, node: Node) -> Done<u64> {
        self.change()?;
        let number = self.next;
        let of = self.folder(folder)?;
        if of.now.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        of.now.insert(name.to_owned(), number);
        self.nodes.insert(number, node);
        self.next += 1;
        Ok(number)
    }

    pub fn unlink(&mut self, folder: u64, name: &OsStr) -> Done<()> {
        self.change()?;
        let number = self.lookup(folder, name)?;
        self.file(number)?.names -= 1;
        self.folder(folder)?.now.remove(name);
        Ok(())
    }

    pub fn rmdir(&mut self, folder: u64, name: &OsStr) -> Done<()> {
        self.change()?;
        let number = self.lookup(folder, name)?;
        if !self.folder(number)?.now.is_empty() {
            return Err(Errno::ENOTEMPTY);
        }
        self.folder(folder)?.now.remove(name);
        Ok(())
    }

    pub fn rename(&mut self, from: (u64, &OsStr), to: (u64, &OsStr)) -> Done<()> {
        self.change()?;
        let number = self.lookup(from.0, from.1)?;
        if let Ok(replaced) = self.lookup(to.0, to.1) {
            self.file(replaced)?.names -= 1;
        }
        self.folder(from.0)?.now.remove(from.1);
        self.folder(to.0)?.now.insert(to.1.to_owned(), number);
        Ok(())
    }

    pub fn read(&mut self, number: u64, offset: usize, len: usize) -> Done<&[u8]> {
        self.calls.reads += 1;
        let fails = match self.fault {
            Fault::Read(nth) => self.calls.reads == nth,
            Fault::Stop(_) => self.fired,
            _ => false,
        };
        if fails {
            self.fired = true;
            return Err(Errno::EIO);
        }
        let bytes = self.file(number)?.now.get(offset..).unwrap_or_default();
        Ok(bytes.get(..len).unwrap_or(bytes))
    }

    /// Writes; how many bytes.
    pub fn write(&mut self, number: u64, offset: usize, bytes: &[u8]) -> Done<usize> {
        self.change()?;
        self.calls.writes += 1;
        let writes = self.calls.writes;
        let half = bytes.split_at(bytes.len() / 2).0;
        match self.fault {
            Fault::Write(nth) if writes == nth => {
                self.fired = true;
                self.file(number)?.write(offset, half);
                Err(Errno::EIO)
            }
            Fault::ShortWrite(nth) if writes >= nth && !self.fired && !half.is_empty() => {
                self.fired = true;
                self.file(number)?.write(offset, half);
                Ok(half.len())
            }
            Fault::NoSpace(nth) if writes == nth && !half.is_empty() => {
                self.fired = true;
                self.file(number)?.write(offset, half);
                Ok(half.len())
            }
            Fault::NoSpace(nth) if writes >= nth => {
                self.fired = true;
                Err(Errno::ENOSPC)
            }
            _ => {
                self.file(number)?.write(offset, bytes);
                Ok(bytes.len())
            }
        }
    }

    pub fn resize(&mut self, number: u64, len: usize) -> Done<()> {
        self.change()?;
        self.file(number)?.resize(len);
        Ok(())
    }

    /// Flushes a file or a folder.
    pub fn flush(&mut self, number: u64) -> Done<()> {
        self.change()?;
        self.calls.flushes += 1;
        let failing = match self.fault {
            Fault::Flush { nth, evicted } if nth == self.calls.flushes => Some(evicted),
            _ => None,
        };
        self.fired |= failing.is_some();
        match (self.nodes.get_mut(&number), failing) {
            (Some(Node::File(file)), None) => file.flush(),
            (Some(Node::File(file)), Some(evicted)) => file.lose(evicted),
            (Some(Node::Folder(folder)), None) => folder.durable = folder.now.clone(),
            (Some(Node::Folder(_)), Some(_)) => {}
            (None, _) => return Err(Errno::ENOENT),
        }
        failing.map_or(Ok(()), |_| Err(Errno::EIO))
    }
}

impl File {
    pub fn named() -> Self {
        Self {
            names: 1,
            ..Self::default()
        }
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if end > self.now.len() {
            self.resize(end);
        }
        if let Some(place) = self.now.get_mut(offset..end) {
            place.copy_from_slice(bytes);
        }
        self.dirty.extend(offset / PAGE..end.div_ceil(PAGE));
    }

    fn resize(&mut self, len: usize) {
        let first = len.min(self.now.len()) / PAGE;
        let last = len.max(self.now.len()).div_ceil(PAGE);
        self.dirty.extend(first..last);
        self.now.resize(len, 0);
    }

    fn flush(&mut self) {
        for page in std::mem::take(&mut self.dirty) {
            self.keep(page * PAGE, PAGE);
        }
        self.durable.resize(self.now.len(), 0);
    }

    /// Makes a part durable.
    fn keep(&mut self, offset: usize, len: usize) {
        let end = self.now.len().min(offset + len);
        let Some(bytes) = self.now.get(offset..end) else {
            return;
        };
        if self.durable.len() < end {
            self.durable.resize(end, 0);
        }
        if let Some(place) = self.durable.get_mut(offset..end) {
            place.copy_from_slice(bytes);
        }
    }

    /// A flush failed: nothing saves these pages any more.
    fn lose(&mut self, evicted: bool) {
        let lost = std::mem::take(&mut self.dirty);
        if !evicted {
            return;
        }
        for page in lost {
            let range = page * PAGE..self.now.len().min((page + 1) * PAGE);
            for at in range {
                let old = self.durable.get(at).copied().unwrap_or(0);
                if let Some(byte) = self.now.get_mut(at) {
                    *byte = old;
                }
            }
        }
    }

    fn cut(&mut self, chance: Option<&mut fastrand::Rng>) {
        if let Some(chance) = chance {
            let len = match chance.bool() {
                true => self.now.len(),
                false => self.durable.len(),
            };
            for page in std::mem::take(&mut self.dirty) {
                for sector in 0..PAGE / SECTOR {
                    if chance.bool() {
                        self.keep(page * PAGE + sector * SECTOR, SECTOR);
                    }
                }
            }
            self.durable.resize(len, 0);
        }
        self.dirty.clear();
        self.now.clone_from(&self.durable);
    }
}

impl Folder {
    fn cut(&mut self, chance: Option<&mut fastrand::Rng>) {
        if let Some(chance) = chance {
            let names: BTreeSet<OsString> = self
                .now
                .keys()
                .chain(self.durable.keys())
                .cloned()
                .collect();
            for name in names {
                if chance.bool() {
                    match self.now.get(&name) {
                        Some(&number) => self.durable.insert(name, number),
                        None => self.durable.remove(&name),
                    };
                }
            }
        }
        self.now.clone_from(&self.durable);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk() -> (Disk, u64) {
        let mut disk = Disk::new();
        let file = disk.add(ROOT, "file".as_ref(), Node::File(File::named()));
        let file = file.unwrap();
        disk.flush(ROOT).unwrap();
        (disk, file)
    }

    #[test]
    fn what_was_not_flushed_is_gone_with_the_power() {
        let (mut disk, file) = disk();
        disk.write(file, 0, b"kept").unwrap();
        disk.flush(file).unwrap();
        disk.write(file, 2, b"lost, and longer").unwrap();
        disk.add(ROOT, "other".as_ref(), Node::File(File::named()))
            .unwrap();
        disk.cut(Surviving::Nothing);
        assert_eq!(disk.read(file, 0, 100).unwrap(), b"kept");
        assert!(disk.lookup(ROOT, "other".as_ref()).is_err());
    }

    #[test]
    fn a_failed_flush_is_not_made_good_by_the_next() {
        for evicted in [true, false] {
            let (mut disk, file) = disk();
            disk.set_fault(Fault::Flush { nth: 1, evicted });
            disk.write(file, 0, b"lost").unwrap();
            assert!(disk.flush(file).is_err());
            assert_eq!(disk.read(file, 0, 9).unwrap() == b"lost", !evicted);
            disk.flush(file).unwrap();
            disk.cut(Surviving::Nothing);
            assert_eq!(disk.read(file, 0, 9).unwrap(), [0; 4]);
        }
    }

    #[test]
    fn some_of_what_was_not_flushed_may_survive() {
        let (mut disk, file) = disk();
        disk.write(file, 0, &[1; 100 * SECTOR]).unwrap();
        disk.cut(Surviving::Some(1));
        let survived = disk.read(file, 0, 100 * SECTOR).unwrap();
        assert!(survived.contains(&1) || survived.is_empty());
        assert!(survived.contains(&0) || survived.is_empty());
    }
}

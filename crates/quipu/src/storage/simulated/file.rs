//! One blob: what is durable, what reads see, and what lies between.
//!
//! ```text
//! durable ── pending, in order: write 3 bytes at 10 · cut to 8 · write 5 bytes at 8 ──> current
//! ```
//!
//! # Invariants
//!
//! - `current` is `durable` with all of `pending` done, as long as no flush failed and nothing was
//!   damaged. After a failed flush `current` may show bytes that no flush makes durable.
//! - `previous` holds, for a block, what it was before its last durable change.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::memory::content::Content;
use super::random::Random;
use super::unreadable::Unreadable;

/// The unit that a disk writes whole, in bytes.
pub(super) const BLOCK: u64 = 512;

/// A change of a blob that was not flushed.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Write { offset: u64, bytes: Arc<[u8]> },
    Resize { len: u64 },
}

impl Change {
    pub(super) fn apply(&self, content: &mut Content) {
        match self {
            Self::Write { offset, bytes } => content.write(*offset, bytes),
            Self::Resize { len } => content.resize(*len),
        }
    }

    /// The length that a blob of `len` bytes has after this change.
    pub(super) fn len_after(&self, len: u64) -> u64 {
        match self {
            Self::Write { offset, bytes } => len.max(offset.saturating_add(bytes.len() as u64)),
            Self::Resize { len } => *len,
        }
    }

    /// Whether what reads see at `at` comes from this change.
    fn covers(&self, at: u64) -> bool {
        match self {
            Self::Write { offset, bytes } => {
                at >= *offset && at < offset.saturating_add(bytes.len() as u64)
            }
            Self::Resize { len } => at >= *len,
        }
    }
}

type Blocks = BTreeMap<u64, Vec<u8>>;

/// Copies share their bytes until one of them changes.
#[derive(Clone, Debug, Default)]
pub(super) struct File {
    pub(super) durable: Arc<Content>,
    pub(super) current: Arc<Content>,
    pub(super) pending: Vec<Change>,
    previous: Arc<Blocks>,
    /// Whether a name leads to it.
    pub(super) named: bool,
    /// How many handles are open.
    pub(super) handles: u64,
    /// What of it the disk cannot read.
    pub(super) unreadable: Unreadable,
}

impl File {
    /// An empty file that just got its name.
    pub(super) fn created() -> Self {
        Self {
            named: true,
            ..Self::default()
        }
    }

    /// A file whose durable bytes became `content` in a crash: what was pending and survived is
    /// durable now.
    pub(super) fn after_crash(&self, content: Arc<Content>) -> Self {
        let mut previous = Arc::clone(&self.previous);
        let blocks = self.touched();
        if !blocks.is_empty() {
            keep_changed(Arc::make_mut(&mut previous), blocks, &content);
        }
        Self {
            durable: Arc::clone(&content),
            current: content,
            previous,
            named: true,
            ..Self::default()
        }
    }

    /// The file after the end of the process that had it open.
    pub(super) fn without_handles(&self) -> Self {
        Self {
            handles: 0,
            ..self.clone()
        }
    }

    pub(super) fn write(&mut self, offset: u64, bytes: Arc<[u8]>) {
        if !bytes.is_empty() {
            self.unreadable.written(offset, bytes.len() as u64);
            self.change(Change::Write { offset, bytes });
        }
    }

    pub(super) fn resize(&mut self, len: u64) {
        self.unreadable.cut(len);
        self.change(Change::Resize { len });
    }

    fn change(&mut self, change: Change) {
        change.apply(Arc::make_mut(&mut self.current));
        self.pending.push(change);
    }

    /// Makes everything that is pending durable.
    pub(super) fn sync(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let before = self.touched();
        let durable = Arc::make_mut(&mut self.durable);
        for change in self.pending.drain(..) {
            change.apply(durable);
        }
        if !before.is_empty() {
            keep_changed(Arc::make_mut(&mut self.previous), before, durable);
        }
    }

    /// A flush that fails: the system takes the pending bytes for written and forgets about them.
    /// What of them is still in its memory is seen on, the rest is read from the disk again.
    pub(super) fn fail_sync(&mut self, random: &mut Random) {
        let seen_len = self.current.len();
        let current = Arc::make_mut(&mut self.current);
        for change in self.pending.drain(..) {
            match &change {
                Change::Write { offset, bytes } if random.coin() => {
                    let old = read_padded(&self.durable, *offset, bytes.len());
                    current.write(*offset, &old);
                }
                _ => change.apply(current),
            }
        }
        // The length lives with the names, in a journal of its own: it does not go back while the
        // system runs.
        current.resize(seen_len);
    }

    /// Bytes of the disk that it takes.
    pub(super) fn stored(&self) -> u64 {
        match self.named || self.handles > 0 {
            true => self.current.stored(),
            false => 0,
        }
    }

    /// The durable blocks that what is pending changes, as they are.
    fn touched(&self) -> Blocks {
        let mut blocks = Blocks::new();
        let end = self.durable.len().div_ceil(BLOCK);
        let mut note = |from: u64, to: u64| {
            for number in from..to.min(end) {
                let block = || block_of(&self.durable, number);
                blocks.entry(number).or_insert_with(block);
            }
        };
        for change in &self.pending {
            match change {
                Change::Write { offset, bytes } => {
                    let last = offset.saturating_add(bytes.len() as u64);
                    note(offset / BLOCK, last.div_ceil(BLOCK));
                }
                Change::Resize { len } => {
                    // Holes may be huge, and have nothing to keep.
                    for (at, stored) in self.durable.chunks_from(*len) {
                        let from = at.max(*len) / BLOCK;
                        note(from, at.saturating_add(stored).div_ceil(BLOCK));
                    }
                }
            }
        }
        blocks
    }

    /// Turns one durable bit.
    pub(super) fn flip_bit(&mut self, bit: u64) {
        let at = bit / 8;
        let old = read_padded(&self.durable, at, 1);
        let flipped: Vec<u8> = old.iter().map(|byte| byte ^ (1 << (bit % 8))).collect();
        self.damage(at, &flipped);
    }

    /// Zeroes a durable block; whether that changed anything.
    pub(super) fn zero_block(&mut self, block: u64) -> bool {
        let zeros = vec![0; block_of(&self.durable, block).len()];
        self.replace_block(block, zeros)
    }

    /// Puts a durable block back to what it was before its last durable change; whether that
    /// changed anything.
    pub(super) fn stale_block(&mut self, block: u64) -> bool {
        let len = block_of(&self.durable, block).len();
        let Some(mut old) = self.previous.get(&block).cloned() else {
            return false;
        };
        old.resize(len, 0);
        self.replace_block(block, old)
    }

    fn replace_block(&mut self, block: u64, bytes: Vec<u8>) -> bool {
        if block_of(&self.durable, block) == bytes {
            return false;
        }
        self.damage(block.saturating_mul(BLOCK), &bytes);
        true
    }

    /// Changes durable bytes. Reads see it except where they see bytes that are pending.
    fn damage(&mut self, offset: u64, bytes: &[u8]) {
        Arc::make_mut(&mut self.durable).write(offset, bytes);
        let current = Arc::make_mut(&mut self.current);
        for (at, byte) in (offset..).zip(bytes) {
            let pending = self.pending.iter().any(|change| change.covers(at));
            if at < current.len() && !pending {
                current.write(at, &[*byte]);
            }
        }
    }
}

/// Keeps those of the blocks that are no longer so.
fn keep_changed(previous: &mut Blocks, before: Blocks, now: &Content) {
    for (number, old) in before {
        if block_of(now, number) != old {
            previous.insert(number, old);
        }
    }
}

/// The bytes of a block; fewer than [`BLOCK`] at the end, none behind it.
fn block_of(content: &Content, block: u64) -> Vec<u8> {
    let start = block.saturating_mul(BLOCK);
    let len = content.len().saturating_sub(start).min(BLOCK);
    read_padded(content, start, len as usize)
}

/// Bytes from `offset` on; zeros behind the end.
pub(super) fn read_padded(content: &Content, offset: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    let there = content.len().saturating_sub(offset).min(len as u64);
    content.read(offset, bytes.split_at_mut(there as usize).0);
    bytes
}

//! What the disk cannot read of a file.

use std::collections::BTreeSet;

use super::file::BLOCK;

/// Of one file.
#[derive(Clone, Debug, Default)]
pub(super) struct Unreadable {
    blocks: BTreeSet<u64>,
    /// It cannot even be opened.
    is_whole: bool,
}

impl Unreadable {
    pub(super) fn block(&mut self, block: u64) {
        self.blocks.insert(block);
    }

    pub(super) fn whole(&mut self) {
        self.is_whole = true;
    }

    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Whether so many bytes from an offset on have some of it.
    pub(super) fn has(&self, offset: u64, len: u64) -> bool {
        let end = offset.saturating_add(len).div_ceil(BLOCK);
        len > 0 && self.blocks.range(offset / BLOCK..end).next().is_some()
    }

    /// The disk takes another block in the place of one that is written as a whole.
    pub(super) fn written(&mut self, offset: u64, len: u64) {
        let whole = offset.div_ceil(BLOCK)..offset.saturating_add(len) / BLOCK;
        self.blocks.retain(|block| !whole.contains(block));
    }

    pub(super) fn cut(&mut self, len: u64) {
        self.blocks.retain(|&block| block < len.div_ceil(BLOCK));
    }
}

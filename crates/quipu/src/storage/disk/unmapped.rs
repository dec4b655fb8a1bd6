//! Where files are not mapped: every read is a call.

use std::fs::File;

#[derive(Debug)]
pub(super) struct Maps;

impl Maps {
    pub(super) fn new(_: bool) -> Self {
        Self
    }

    pub(super) fn read(&self, _: &File, _: &mut Vec<u8>, _: u64, _: usize) -> bool {
        false
    }

    pub(super) fn cut(&self, _: u64) {}
}

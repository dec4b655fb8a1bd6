//! Where files are not mapped: every read is a call.

use std::fs::File;
use std::sync::Arc;

use super::super::Window;
use super::folder::Identity;

#[derive(Debug)]
pub(super) enum Maps {}

impl Maps {
    pub(super) fn new(_: Identity) -> Option<Arc<Self>> {
        None
    }

    pub(super) fn behind(_: &Arc<dyn Window>, _: Identity) -> Option<Arc<Self>> {
        None
    }

    pub(super) fn window(self: &Arc<Self>) -> Arc<dyn Window> {
        match **self {}
    }

    pub(super) fn read(&self, _: &File, _: &mut Vec<u8>, _: u64, _: usize) -> bool {
        match *self {}
    }

    pub(super) fn cut(&self, _: u64) {
        match *self {}
    }
}

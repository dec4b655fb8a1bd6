//! How an archive is scrubbed.

use std::fmt;
use std::time::Duration;

use super::super::verify::VerifyEvent;
use crate::error::{Error, Result};

const DEFAULT_BYTES_PER_SECOND: u64 = 16 << 20;
const DEFAULT_REST: Duration = Duration::from_secs(60 * 60);

/// Who is told.
pub(super) type OnEvent = Box<dyn FnMut(VerifyEvent) + Send>;

/// How an archive is [scrubbed](super::super::Archive::scrub).
pub struct ScrubOptions {
    pub(super) bytes_per_second: u64,
    pub(super) passes: Option<u64>,
    pub(super) rest: Duration,
    pub(super) on_event: Option<OnEvent>,
}

impl ScrubOptions {
    /// 16 MiB a second, pass after pass with an hour in between.
    pub fn new() -> Self {
        Self {
            bytes_per_second: DEFAULT_BYTES_PER_SECOND,
            passes: None,
            rest: DEFAULT_REST,
            on_event: None,
        }
    }

    /// How many bytes of index and value files [`spawn`](super::Scrub::spawn) checks a second, at
    /// the most; at least 1. [`step`](super::Scrub::step) goes as fast as it is called.
    #[must_use]
    pub fn bytes_per_second(mut self, bytes: u64) -> Self {
        self.bytes_per_second = bytes;
        self
    }

    /// After so many passes [`spawn`](super::Scrub::spawn) ends; one that was under way counts.
    #[must_use]
    pub fn passes(mut self, passes: u64) -> Self {
        self.passes = Some(passes);
        self
    }

    /// How long [`spawn`](super::Scrub::spawn) waits from the end of a pass to the next.
    #[must_use]
    pub fn rest(mut self, rest: Duration) -> Self {
        self.rest = rest;
        self
    }

    /// Told of all damage as it is found, of the progress after each step, and at the end of a
    /// pass of what cannot be read at all and of the indices that are lost.
    ///
    /// It is called within a step: it must not drop the archive, which waits for the step to end.
    #[must_use]
    pub fn on_event(mut self, on_event: impl FnMut(VerifyEvent) + Send + 'static) -> Self {
        self.on_event = Some(Box::new(on_event));
        self
    }

    pub(super) fn check(&self) -> Result<()> {
        match self.bytes_per_second {
            0 => Err(Error::InvalidOption {
                option: "bytes_per_second",
                reason: "at 0 bytes a second nothing is ever checked".to_owned(),
            }),
            _ => Ok(()),
        }
    }
}

impl Default for ScrubOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ScrubOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScrubOptions")
            .field("bytes_per_second", &self.bytes_per_second)
            .field("passes", &self.passes)
            .field("rest", &self.rest)
            .finish_non_exhaustive()
    }
}

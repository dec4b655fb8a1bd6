//! Which fault comes when.

use super::random::Random;

/// What goes wrong in one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// Any call: it fails with an I/O error and does nothing.
    ErrorBefore,
    /// Any call: it does what it was asked for and then fails with an I/O error.
    ErrorAfter,
    /// A write of at least one byte: a part of its bytes, from the first on and never all, is
    /// written, in whichever buffer it ends; then an I/O error.
    ShortWrite,
    /// A call that may need room (a write, a resize that grows, a creation, a rename):
    /// [`Error::StorageFull`](crate::Error::StorageFull). A write may have written a part of its
    /// bytes, the others do nothing.
    NoSpace,
    /// A flush fails with an I/O error. Of a blob: nothing that was pending is durable, nor is it
    /// made durable by the next flush, which succeeds; by chance each write is still seen by reads,
    /// or the bytes from before it are. Of a partition: nothing is made durable by this call.
    FlushFails,
    /// A read of at least one byte: an I/O error, nothing is read.
    ReadError,
    /// A read: before it, one durable bit in its range is turned, for good.
    FlippedBit,
    /// A read: before it, one durable block of 512 bytes that its range touches is zeroed.
    ZeroedBlock,
    /// A read: before it, one durable block of 512 bytes that its range touches goes back to what
    /// it was before its last durable change.
    StaleBlock,
    /// A read of at least one byte, or an open: the disk cannot read one block of 512 bytes that the read touches, or
    /// the file that is opened, any more: `EIO`. It stays so until the block is written as a whole or cut off, or
    /// [`Simulated::heal`](super::Simulated::heal).
    Unreadable,
}

impl Fault {
    /// Every fault.
    pub const ALL: &[Self] = &[
        Self::ErrorBefore,
        Self::ErrorAfter,
        Self::ShortWrite,
        Self::NoSpace,
        Self::FlushFails,
        Self::ReadError,
        Self::FlippedBit,
        Self::ZeroedBlock,
        Self::StaleBlock,
        Self::Unreadable,
    ];

    /// Whether it changes the disk in silence, instead of failing the call.
    pub fn is_silent(self) -> bool {
        matches!(
            self,
            Self::FlippedBit | Self::ZeroedBlock | Self::StaleBlock
        )
    }
}

/// How often faults come by chance: for each kind, so many in a million calls. All together should
/// be at most a million.
///
/// ```
/// use quipu::storage::simulated::{Fault, FaultRates};
///
/// let rates = FaultRates::none()
///     .with(Fault::ReadError, 1_000)
///     .with(Fault::FlushFails, 200);
/// assert_eq!(rates.get(Fault::ReadError), 1_000);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultRates {
    per_million: [u32; Fault::ALL.len()],
}

impl FaultRates {
    /// No fault ever.
    pub fn none() -> Self {
        Self::default()
    }

    /// These rates with another one for `fault`.
    pub fn with(mut self, fault: Fault, per_million: u32) -> Self {
        if let Some(rate) = self.per_million.get_mut(fault as usize) {
            *rate = per_million;
        }
        self
    }

    /// How often `fault` comes, in a million calls.
    pub fn get(&self, fault: Fault) -> u32 {
        let rate = self.per_million.get(fault as usize);
        rate.copied().unwrap_or_default()
    }

    /// The fault that chance chooses for one call, whether or not it applies to it.
    pub(super) fn draw(&self, random: &mut Random) -> Option<Fault> {
        let mut left = random.below(1_000_000);
        for &fault in Fault::ALL {
            let rate = u64::from(self.get(fault));
            if left < rate {
                return Some(fault);
            }
            left -= rate;
        }
        None
    }
}

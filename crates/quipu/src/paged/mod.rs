//! A blob as one stream of bytes, cut into checksummed pages.
//!
//! ```text
//! stream   |—— P bytes ——|—— P bytes ——|— rest —|
//! blob     | page 0 |slots| page 1 |slots| page 2, padded |slots|
//!          0        P   P+12
//! ```
//!
//! # Invariants
//!
//! - Every page but the last is full.
//! - A page that grows keeps its committed bytes and the slot that speaks for them; the new length
//!   goes into the other slot. So a torn write falls back to the older, shorter state.
//! - A page is checked whenever it is read from disk, and cached only when it is full: such a page
//!   never changes while its stream is not cut. A cut gives the stream a new identity in the
//!   cache, so that a page read before is never served after.
//!
//! # Recovery
//!
//! At open, whatever follows the last valid page is cut, but never below what the caller knows to
//! be durable: pages there that do not check are damage, and stay. Behind a damaged end the stream
//! goes on with the next page.
//!
//! # Cost
//!
//! A read within one cached page is a look-up and a copy; a miss is one read of all pages it
//! spans. An append is a copy under a short lock.

mod ahead;
mod cache;
mod encode;
mod end;
mod file;
mod growth;
mod raw;
mod replay;
mod tail;
mod write;

pub(crate) use ahead::PageAhead;
pub use cache::PageCache;
pub(crate) use encode::encode_pages;
pub(crate) use end::Durable;
pub(crate) use file::{Cut, PagedFile, disk_len};
pub(crate) use growth::PageGrowth;
pub(crate) use replay::OnRecord;

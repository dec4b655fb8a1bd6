//! The index: what is kept in memory so that an item is found by its key or its index.
//!
//! - [`Translator`]s make a short form of a key, [`KeyIndex`] maps short forms to locations.
//! - `Locations` names every entry of every section by one number of 36 bits, a location.
//! - `Positions` finds the entries of one section by index, `Runs` knows which indices are stored.
//!
//! Nothing here is stored on disk: all of it is built again from the index files when an archive is
//! opened, so none of it has a recovery of its own.

mod ahead;
mod block_map;
mod candidates;
mod gathered;
mod hint;
mod key_index;
mod locations;
pub(crate) mod memory;
mod pieces;
mod place;
mod placed;
mod positions;
mod resize;
mod runs;
mod shard;
mod translator;
mod translator_spec;

pub use candidates::Candidates;
pub(crate) use gathered::GatheredRuns;
pub use key_index::{KeyIndex, MAX_LOCATION};
pub(crate) use locations::Locations;
pub(crate) use pieces::{Gaps, RunsInPieces, cut_below};
pub(crate) use place::mix;
pub(crate) use placed::Placed;
pub(crate) use positions::{Positions, Stretch};
pub(crate) use runs::Runs;
pub use translator::{
    Cap, EightCap, FourCap, Hashed, OneCap, Prefix, SEED_SIZE, Translator, TwoCap,
};
pub use translator_spec::TranslatorSpec;

//! A disk that fails on demand: a file system of our own, in memory, mounted through FUSE.

mod disk;
mod serve;

pub use disk::{Disk, Fault, Surviving};
pub use serve::Served;

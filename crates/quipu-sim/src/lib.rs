//! The simulator of quipu: random workloads, crashes at any call, damage; checked against a model.
//!
//! ```text
//! seed ── workload ──> Case ── run ──> World: archive on a simulated machine │ Model
//!                        ^               step by step, and after each open: look, compare
//!                        └── shrink ── a case that fails, without the steps that do not matter
//! ```
//!
//! - [`case`]: a run as data, with a text form. [`workload`]: a case from a seed.
//! - [`world`]: what runs a case. [`look`]: everything a reader tells. [`model`]: what must be there
//!   and what may be.
//! - [`every_step`]: [`fixed`] workloads, stopped before and after every single call.
//! - [`shrink`]: the shortest case that still fails. [`seeds`]: many seeds on all cores.
//! - [`canaries`]: defects of the library that are switched on to see them caught. [`crafted`]: the
//!   histories in which single steps count.
//! - [`damage`]: every damage of small archives, with an oracle and a program of its own.
//!
//! # Invariants
//!
//! One seed decides everything: no clock, no random number of the system, no order of threads has a
//! part in what a case does. A case that fails is printed as text that fails again.

pub mod canaries;
pub mod case;
pub mod crafted;
pub mod damage;
pub mod every_step;
pub mod fixed;
pub mod item;
pub mod look;
pub mod model;
pub mod random;
pub mod run;
mod scenarios;
pub mod seeds;
pub mod shrink;
pub mod workload;
pub mod world;

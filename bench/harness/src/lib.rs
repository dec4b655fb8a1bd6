//! Measures archives and databases side by side.
//!
//! Every engine is a program of its own that calls [`worker::main`] with its [`Engine`]; the
//! program `quipu-bench` starts them in turns, round by round, and compares what they report.

mod durable_puts;
mod engine;
mod items;
pub mod measures;
pub mod row;
pub mod worker;
mod workload;

pub use durable_puts::DurablePuts;
pub use engine::{Engine, Item, OnEach, OnValue};
pub use items::{KEY_SIZE, Key};
pub use workload::{Phase, Workload};

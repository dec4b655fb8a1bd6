//! What the compatibility runs do, without the program that they compare quipu with.
//!
//! A [`Scenario`] is a list of operations and the settings they run under. [`Expected`] is what a
//! small model says must be stored afterwards. An [`Engine`] is an archive that can carry out a
//! scenario in a folder and answer questions about a folder. [`run`] lets two engines read what the
//! other wrote, and [`self_check`] lets one read its own.
//!
//! ```text
//!  shapes, random ──> Scenario ──> Engine::write ──> files in a folder
//!                        │                              │
//!                        └──> Expected ──> Engine::check, read_store
//! ```
//!
//! The engine for quipu itself is in [`quipu_engine`].

pub mod cli;
mod engine;
mod golden;
mod items;
mod model;
mod question;
pub mod quipu_engine;
mod random;
mod read_store;
mod rng;
mod run;
mod scenario;
mod shapes;

pub use engine::Engine;
pub use golden::Golden;
pub use model::Expected;
pub use question::{Answer, Question, Want, questions};
pub use random::random;
pub use read_store::ReadStore;
pub use run::{Checks, Report, check_golden, run, self_check};
pub use scenario::{Item, KEY_SIZE, Key, Op, Scenario};
pub use shapes::shapes;

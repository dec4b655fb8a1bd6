//! The whole library in orders of steps that a scheduler chooses.
//!
//! Built with `--cfg shuttle` the library's locks and atomics let `shuttle` switch threads at each
//! use of one (`src/sync.rs`), and check the order in which locks are taken. Every scenario runs
//! some hundred times under a random scheduler and under one that looks for bugs of few
//! switches (PCT). `just shuttle` runs them; in other builds there is nothing here.
//!
//! | variable | what |
//! |---|---|
//! | `QUIPU_ITERATIONS` | orders that each scheduler tries of each scenario |
//! | `QUIPU_SEED` | which ones |
//! | `QUIPU_SCHEDULE` | the one that a failure printed (between the quotes), again; name its test alone |
//! | `QUIPU_LOCK_ORDER` | tells which locks are taken while others are held |
#![cfg(shuttle)]

mod beside;
mod damage;
mod gaps;
mod group_commit;
mod keys;
mod late_look;
mod outlive;
mod puts;
mod removals;
mod repair;
mod scrub;
mod setup;
mod tables;

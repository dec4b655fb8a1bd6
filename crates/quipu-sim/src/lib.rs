//! The simulator of quipu.

pub mod damage;

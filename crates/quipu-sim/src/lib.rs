//! The simulator of quipu.

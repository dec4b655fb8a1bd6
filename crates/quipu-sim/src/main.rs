//! `quipu-sim`: the simulator as a program.

fn main() {}

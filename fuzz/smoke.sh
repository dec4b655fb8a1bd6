#!/usr/bin/env bash
# Every fuzz target over its corpus and some thousand inputs of a fixed seed, then with its planted
# defect, which it must find. Needs stable Rust and a C compiler, nothing else; see run.sh for more.
set -euo pipefail
cd "$(dirname "$0")"
cargo test --locked --test smoke --test canaries

#!/usr/bin/env bash
# The parts that are read without a lock under Miri, which knows what the memory model allows beyond what a processor
# does: loads that see old values, bytes that are read while they are written, pointers that are not to be used any more.
# Needs `rustup component add --toolchain nightly miri rust-src`. QUIPU_MIRI_SEEDS says which orders (0..2 when not given).
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR=target/miri
export MIRIFLAGS="-Zmiri-many-seeds=${QUIPU_MIRI_SEEDS:-0..2} -Zmiri-disable-isolation"
cargo +nightly miri test -p quipu --lib -- \
    append_buffer::tests::a_chunk append_buffer::tests::filled append_buffer::tests::readers \
    index::shard::tests::slots "$@"

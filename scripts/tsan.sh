#!/usr/bin/env bash
# The stress test and the tests of readers beside a writer under ThreadSanitizer, with a standard
# library that is built with it as well; so nothing is suppressed.
# Needs `rustup component add rust-src`. QUIPU_STRESS_ROUNDS says how many rounds.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$(rustc --version --verbose | sed -n 's/^host: //p')
# The flags of the compiler's own development are needed on a stable one.
export RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=thread" CARGO_TARGET_DIR=target/tsan
export TSAN_OPTIONS="halt_on_error=1 second_deadlock_stack=1"
cargo test -Zbuild-std --target "$target" -p quipu \
    --test stress --test readers --test rewind_beside_readers -- --nocapture

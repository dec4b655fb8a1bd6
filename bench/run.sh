#!/usr/bin/env bash
# Builds the engines and measures them side by side; arguments go to the harness (--help lists them).
#
#   ENGINES   which engines, by folder name; the first is compared with each other one (all)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# One folder for all: much of what they depend on is the same.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}"
engines="${ENGINES:-quipu commonware_2026_4_0 commonware_2026_10_0}"

programs=()
for engine in $engines; do
    cargo build --release --locked --quiet --manifest-path "engines/$engine/Cargo.toml"
    programs+=("$CARGO_TARGET_DIR/release/bench-${engine//_/-}")
done
cargo run --release --locked --quiet --manifest-path harness/Cargo.toml -- \
    "${programs[@]}" --dir "$CARGO_TARGET_DIR" "$@"

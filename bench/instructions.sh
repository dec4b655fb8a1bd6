#!/usr/bin/env bash
# Counts the instructions of quipu's hot paths by callgrind and compares them with the budgets in
# instructions/budgets.toml; ends with 1 when a path needs more than 3 % above its budget.
# `--update` writes what was counted as the new budgets.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}"

if ! command -v valgrind >/dev/null; then
    apt-get update -qq && apt-get install -y -qq valgrind
fi
cargo build --release --locked --quiet --manifest-path instructions/Cargo.toml
"$CARGO_TARGET_DIR/release/bench-instructions" check instructions/budgets.toml "$@"

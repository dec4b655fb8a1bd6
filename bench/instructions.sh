#!/usr/bin/env bash
# Counts the instructions of quipu's hot paths by callgrind and compares them with the budgets in
# instructions/budgets.toml; ends with 1 when a path needs more than 3 % above its budget, and says so
# when one needs less by as much. For a CI: a few minutes on a clean Debian 12 with Rust and two cores.
#
#   --update        write what was counted as the new budgets
#   --only PATH     one path alone, e.g. get-by-key
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}"

for tool in valgrind cc; do
    if ! command -v "$tool" >/dev/null; then
        apt-get update -qq && apt-get install -y -qq --no-install-recommends valgrind gcc libc6-dev
    fi
done
cargo build --profile instructions --locked --quiet --package bench-instructions
"$CARGO_TARGET_DIR/instructions/bench-instructions" check bench/instructions/budgets.toml "$@"

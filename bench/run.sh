#!/usr/bin/env bash
# Builds the engines and measures them side by side; arguments go to the harness (--help lists them).
#
#   ENGINES   which engines, by folder name; the first is compared with each other one (all)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# One folder for all: much of what they depend on is the same.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/bench/target}"
harness() {
    cargo run --release --locked --quiet --manifest-path bench/harness/Cargo.toml -- "$@"
}
case "${1:-}" in list | report) harness "$@"; exit ;; esac

# RocksDB comes from the system: its build from source takes longer than a quick run.
if [[ ! -e /usr/include/rocksdb/c.h ]] || ! ls /usr/lib/llvm-*/lib/libclang*.so* >/dev/null 2>&1; then
    apt-get update -qq && apt-get install -y -qq librocksdb-dev libclang-dev strace
fi
export ROCKSDB_LIB_DIR="${ROCKSDB_LIB_DIR:-/usr/lib/$(uname -m)-linux-gnu}"
export ROCKSDB_INCLUDE_DIR="${ROCKSDB_INCLUDE_DIR:-/usr/include}"
if [[ -z "${LIBCLANG_PATH:-}" ]]; then
    libraries=(/usr/lib/llvm-*/lib/libclang*.so*)
    LIBCLANG_PATH="$(dirname "${libraries[0]}")"
    export LIBCLANG_PATH
fi

for engine in bench/engines/*/; do
    cargo build --release --locked --quiet --manifest-path "$engine/Cargo.toml"
done
harness "$@" --programs "$CARGO_TARGET_DIR/release" --dir "$CARGO_TARGET_DIR"

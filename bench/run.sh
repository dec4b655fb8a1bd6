#!/usr/bin/env bash
# Builds the engines, measures them side by side and writes docs/performance.md with its plots.
#
#   run.sh quick [ARGUMENTS]   a table in under ten minutes
#   run.sh full [ARGUMENTS]    every workload at its full size: hours
#   run.sh run|flushes|report|list ARGUMENTS   one command of the harness; --help tells of it
#
# With BENCH_PAGE=FILE the page, its plots and figures go there instead.
#
# RocksDB comes from the system, since its build from source takes longer than a quick run: of
# Debian's packages librocksdb-dev and libclang-dev are installed where they are missing, and strace,
# which counts flushes. Cold reads drop the system's caches, which only root may.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# One folder for all: much of what the engines depend on is the same.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/bench/target}"

harness() {
    cargo run --release --locked --quiet --manifest-path bench/harness/Cargo.toml -- "$@"
}

build() {
    local libraries=(/usr/lib/llvm-*/lib/libclang*.so*)
    if [[ ! -e /usr/include/rocksdb/c.h || ! -e "${libraries[0]}" ]] || ! command -v strace >/dev/null; then
        apt-get update -qq && apt-get install -y -qq librocksdb-dev libclang-dev strace
        libraries=(/usr/lib/llvm-*/lib/libclang*.so*)
    fi
    export ROCKSDB_LIB_DIR="${ROCKSDB_LIB_DIR:-/usr/lib/$(uname -m)-linux-gnu}"
    export ROCKSDB_INCLUDE_DIR="${ROCKSDB_INCLUDE_DIR:-/usr/include}"
    export LIBCLANG_PATH="${LIBCLANG_PATH:-$(dirname "${libraries[0]}")}"
    local engine
    for engine in bench/engines/*/; do
        cargo build --release --locked --quiet --manifest-path "$engine/Cargo.toml"
    done
}

places=(--programs "$CARGO_TARGET_DIR/release" --dir "$CARGO_TARGET_DIR")
command="${1:-quick}"
shift || true
case "$command" in
quick | full)
    build
    results="$CARGO_TARGET_DIR/$command.json"
    sizes=(--limit-minutes 2)
    [[ "$command" == full ]] && sizes=(--full)
    # A failure of quipu's or an engine that is not durable is told at the end: the page is of use all the same.
    code=0
    harness run "${sizes[@]}" --json "$results" "${places[@]}" "$@" || code=$?
    harness flushes --json "$results" "${places[@]}" || code=$?
    harness report "$results" --page "${BENCH_PAGE:-docs/performance.md}"
    exit "$code"
    ;;
run | flushes)
    build
    harness "$command" "${places[@]}" "$@"
    ;;
*) harness "$command" "$@" ;;
esac

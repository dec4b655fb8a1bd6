#!/usr/bin/env bash
# Builds both compatibility programs and runs them, one after the other; arguments go to both.
#
#   GOLDEN      a folder with a folder of golden archives for each version (../crates/quipu/tests/golden)
#   READ_STORE  a Python program that reads a store from the format's text alone (none)
#   PYTHON      what runs it; compressed stores need its package zstandard (python3)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# One folder for both: most of what they depend on is the same.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}"
golden="${GOLDEN:-$PWD/../crates/quipu/tests/golden}"

options=()
if [[ -n "${READ_STORE:-}" ]]; then
    options+=(--read-store "$READ_STORE" --python "${PYTHON:-python3}")
fi
# The reference flushes the whole file system each time it starts.
if [[ -d /dev/shm && -w /dev/shm ]]; then
    options+=(--temp /dev/shm)
fi

# The newer version reads the older one's archives, too.
run() {
    local version=$1
    shift
    local goldens=()
    for of in "$@"; do
        if [[ -d "$golden/$of" ]]; then
            goldens+=(--golden "$golden/$of")
        fi
    done
    cargo run --locked --quiet --manifest-path "$version/Cargo.toml" -- \
        "${options[@]}" "${goldens[@]}" "${arguments[@]}"
}

arguments=("$@")
run v2026_4_0 2026.4.0
run v2026_10_0 2026.4.0 2026.10.0

#!/usr/bin/env bash
# Fuzzes with libFuzzer, on stable Rust: `fuzz/run.sh TARGET SECONDS`, or `fuzz/run.sh all SECONDS`.
#
# Inputs that reach new code are gathered in target/corpus; finds go to artifacts/TARGET, and
# `cargo run --manifest-path fuzz/Cargo.toml --example replay -- TARGET FILE` runs one again.
# QUIPU_FUZZ_SANITIZER=address checks the C code of zstd as well, and is slower.
set -euo pipefail
cd "$(dirname "$0")"
targets=${1:-all}
seconds=${2:-60}
[[ "$targets" == all ]] && targets="section_files manifest key_tables adopt codecs operations program"
if ! cargo fuzz --version >/dev/null 2>&1; then
    cargo install --locked cargo-fuzz
fi
# Coverage is asked for with flags that are not stable.
export RUSTC_BOOTSTRAP=1
status=0
for target in $targets; do
    mkdir -p "target/corpus/$target" "corpus/$target" "artifacts/$target"
    echo "== $target"
    cargo fuzz run "$target" --fuzz-dir . --features libfuzzer \
        --sanitizer "${QUIPU_FUZZ_SANITIZER:-none}" --target-dir target/fuzz \
        "target/corpus/$target" "corpus/$target" -- \
        -max_total_time="$seconds" -timeout=60 -rss_limit_mb=1024 -malloc_limit_mb=256 \
        -max_len=2000 -print_final_stats=1 -seed="${QUIPU_FUZZ_SEED:-0}" || status=1
done
exit $status

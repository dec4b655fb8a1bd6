# What one does here; `just` lists it.

default:
    @just --list

# Every test
test:
    cargo test --workspace --all-features

# What a change must pass
ci:
    bash .ci/run

# Random cases of the simulator; `just sim --every-step`, `just sim --canaries` and more
sim *arguments="--seeds 0..10000":
    cargo run --release -p quipu-sim --bin quipu-sim -- {{arguments}}

# Every damage of small archives, as a table
damage *arguments:
    cargo run --release -p quipu-sim --bin quipu-damage -- {{arguments}}

# Real faults: kill, power, full, fuse, qemu; see faults/README.md
faults *arguments:
    cargo run --manifest-path faults/Cargo.toml -- {{arguments}}

# The fuzzers' smoke mode; `bash fuzz/run.sh` runs them for longer
fuzz:
    bash fuzz/smoke.sh

# Formatting, lints, docs
lint:
    cargo fmt --check
    cargo clippy --workspace --all-targets --all-features -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --all-features

# Archives exchanged with commonware-storage, both ways
compat:
    bash compat/run.sh

# Memory and speed of the key index
bench-index:
    cargo bench -p quipu --bench index

# A quick look at puts and gets
bench-archive:
    cargo bench -p quipu --bench archive

# Many items a call, by threads and through io_uring
bench-many *arguments:
    cargo bench -p quipu --features io-uring --bench many -- {{arguments}}

# quipu and its rivals side by side, in under ten minutes; writes docs/performance.md
bench *arguments:
    bash bench/run.sh quick {{arguments}}

# The same at full sizes, up to 30 million items and 100,000 sections: hours
bench-full *arguments:
    bash bench/run.sh full {{arguments}}

# Instructions of the hot paths, held to their budgets
bench-instructions *arguments:
    bash bench/instructions.sh {{arguments}}

# The library in orders of steps that a scheduler chooses; see crates/quipu/tests/shuttle
shuttle:
    RUSTFLAGS="--cfg shuttle" CARGO_TARGET_DIR=target/shuttle cargo test -p quipu --test shuttle
    RUSTFLAGS="--cfg shuttle" CARGO_TARGET_DIR=target/shuttle cargo test -p quipu --lib sync::

# Readers beside a writer, for long
stress rounds="500":
    QUIPU_STRESS_ROUNDS={{rounds}} cargo test --release -p quipu --test stress -- --nocapture

# The same under ThreadSanitizer
tsan:
    bash scripts/tsan.sh

# What is read without a lock, under Miri
miri:
    bash scripts/miri.sh

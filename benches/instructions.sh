#!/bin/sh
# Instructions per message, for each case of benches/load/src/path/mod.rs. Needs valgrind.
# Built as one unit: what the compiler happens to inline across units moves the counts by more than
# most changes do.
set -eu
cd "$(dirname "$0")/.."
export CARGO_PROFILE_RELEASE_LTO=fat CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/instructions"
cargo build --quiet --release --package veltix-load
count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null \
        "$CARGO_TARGET_DIR/release/veltix-load" path "$1" "$2" 2>&1 | sed -n 's/.*Collected : //p'
}
[ $# -gt 0 ] || set -- sink sink-async sink-layered echo echo-async by-hand typed
for case; do
    few=$(count "$case" 20000)
    many=$(count "$case" 40000)
    echo "$case $(((many - few) / 20000))"
done

#!/bin/sh
# Instructions per message, for each case of benches/load/src/path.rs. Needs valgrind.
set -eu
cd "$(dirname "$0")/.."
cargo build --quiet --release --package veltix-load
bin=${CARGO_TARGET_DIR:-target}/release/veltix-load
count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$bin" path "$1" "$2" 2>&1 |
        sed -n 's/.*Collected : //p'
}
for case in "${@:-sink}"; do
    few=$(count "$case" 20000)
    many=$(count "$case" 40000)
    echo "$case $(((many - few) / 20000))"
done

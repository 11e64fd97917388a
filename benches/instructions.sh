#!/bin/sh
# Counts the instructions of a message on its path through a server, beside their budgets. The
# arguments are those of `veltix-load budgets`. Needs valgrind.
set -eu
cd "$(dirname "$0")/.."
exec cargo run --quiet --locked --profile measure --package veltix-load -- budgets "$@"

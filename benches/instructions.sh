#!/bin/sh
# Instructions of a message on its way through a server, beside their budgets; arguments are those
# of `veltix-load budgets`. Needs valgrind.
set -eu
cd "$(dirname "$0")/.."
exec cargo run --quiet --locked --profile measure --package veltix-load -- budgets "$@"

#!/bin/sh
# Starts the chat server and prints the commands that join it. Needs Rust; for the Python peer also
# Python 3.11 or later, whose package goes into a virtual environment in the target directory.
set -eu
cd "$(dirname "$0")/.."
addr=${VELTIX_ADDR:-127.0.0.1:8080}
if [ "${addr##*:}" = 0 ]; then
    echo "VELTIX_ADDR=$addr: choose a port, because the commands that join the chat name it" >&2
    exit 2
fi
echo "building the chat: about a minute the first time"
# The name of the package keeps the features away that only the tests need.
cargo build --package veltix --example chat_server --example chat_client
. examples/chat/python.sh
find_python
echo "Join from a second terminal, in this folder:"
if [ -n "$python" ]; then
    echo "    $python examples/chat_peer.py bob ${addr##*:}"
else
    echo "    (no Python peer: that needs python3 with venv, version 3.11 or later, and a package index)"
fi
echo "    cargo run --quiet --package veltix --example chat_client ann $addr"
VELTIX_ADDR=$addr exec cargo run --quiet --package veltix --example chat_server

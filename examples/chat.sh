#!/bin/sh
# Starts the chat server and says how to join it. Needs Rust; for the Python peer also Python 3.11
# or later, whose package goes into a virtual environment under target/.
set -eu
cd "$(dirname "$0")/.."
addr=${VELTIX_ADDR:-127.0.0.1:8080}
echo "building..."
cargo build --quiet --example chat_server --example chat_client
venv=target/chat-venv
if [ ! -e "$venv/ready" ] && command -v python3 > /dev/null; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check veltix==3.3.0
    touch "$venv/ready"
fi
echo "Join from a second terminal, in this folder:"
if [ -e "$venv/ready" ]; then
    echo "    $venv/bin/python examples/chat_peer.py bob ${addr##*:}"
else
    echo "    (there is no python3 here, so no Python peer)"
fi
echo "    cargo run --quiet --example chat_client ann $addr"
VELTIX_ADDR=$addr exec cargo run --quiet --example chat_server

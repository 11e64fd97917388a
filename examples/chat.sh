#!/bin/sh
# Starts the chat server and says how to join it. Needs Rust and Python 3.11 or later; the Python
# package goes into a virtual environment under target/.
set -eu
cd "$(dirname "$0")/.."
addr=${VELTIX_ADDR:-127.0.0.1:8080}
cargo build --quiet --example chat_server --example chat_client
venv=target/chat-venv
if [ ! -e "$venv/ready" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check veltix==3.3.0
    touch "$venv/ready"
fi
cat <<EOF
Join from a second terminal, in this folder:
    $venv/bin/python examples/chat_peer.py bob ${addr##*:}
    cargo run --quiet --example chat_client ann $addr
EOF
VELTIX_ADDR=$addr exec cargo run --quiet --example chat_server

#!/usr/bin/env bash
# Starts a NATS server and three chat servers that are one service over it, and prints the commands that join each of
# them. Needs Rust with a C compiler, and nats-server; for the Python peer also Python 3.11 or later, whose package
# goes into a virtual environment in the target directory. Ctrl-C ends everything that it has started.
#
# VELTIX_PORT is the port of the first node (8081), and VELTIX_NATS the URL of a NATS server that runs already.
set -euo pipefail
cd "$(dirname "$0")/.."
first=${VELTIX_PORT:-8081}
target=${CARGO_TARGET_DIR:-target}
if [ -z "${VELTIX_NATS:-}" ] && ! command -v nats-server > /dev/null; then
    cat >&2 << 'TEXT'
nats-server is missing. Install it, and start this script again:
    Debian, Ubuntu:  sudo apt-get install nats-server
    macOS:           brew install nats-server
    elsewhere:       https://github.com/nats-io/nats-server/releases
VELTIX_NATS=nats://HOST:PORT names a NATS server that runs already.
TEXT
    exit 2
fi
echo "building the chat: a few minutes the first time"
cargo build --package cluster_chat
cargo build --package veltix --example chat_client
# shellcheck source=examples/chat/python.sh
. examples/chat/python.sh
find_python

logs=$target/cluster
mkdir -p "$logs"
nodes=() broker=
# Ends what this script has started. The nodes are first: they drain, and say goodbye to each other.
finish() {
    trap - INT TERM EXIT
    for pid in ${nodes[@]+"${nodes[@]}"}; do kill "$pid" 2> /dev/null || true; done
    for pid in ${nodes[@]+"${nodes[@]}"}; do wait "$pid" 2> /dev/null || true; done
    if [ -n "$broker" ]; then
        kill "$broker" 2> /dev/null || true
        wait "$broker" 2> /dev/null || true
    fi
}
trap finish EXIT
trap 'echo; echo "ending the nodes and the NATS server"; exit 0' INT TERM
# Each program is in a process group of its own, so that Ctrl-C reaches this script alone.
set -m

# Waits until a program has written a line with this text, and prints the rest of that line.
written() {
    local pid=$1 log=$2 text=$3 line
    for _ in $(seq 300); do
        if line=$(grep --max-count 1 "$text" "$log"); then
            echo "${line#*"$text"}"
            return 0
        fi
        kill -0 "$pid" 2> /dev/null || return 1
        sleep 0.1
    done
    return 1
}

# A node that does not read must not hold up the others for the default of ten seconds.
echo 'write_deadline: "2s"' > "$logs/nats.conf"
# The default port may be taken, for example by the service of Debian's package; -1 is a free one.
url=${VELTIX_NATS:-}
for port in 4222 -1; do
    if [ -n "$url" ]; then break; fi
    nats-server --config "$logs/nats.conf" --addr 127.0.0.1 --port "$port" > "$logs/nats.log" 2>&1 < /dev/null &
    broker=$!
    if address=$(written "$broker" "$logs/nats.log" "Listening for client connections on ") &&
        written "$broker" "$logs/nats.log" "Server is ready" > /dev/null; then
        url=nats://$address
    else
        kill "$broker" 2> /dev/null || true
        wait "$broker" 2> /dev/null || true
        broker=
    fi
done
if [ -z "$url" ]; then
    echo "nats-server does not start:" >&2
    cat "$logs/nats.log" >&2
    exit 1
fi

names=(a b c)
for at in 0 1 2; do
    name=${names[$at]}
    "$target/debug/cluster_chat" --nats "$url" --name "$name" --addr "127.0.0.1:$((first + at))" \
        > "$logs/$name.log" 2>&1 < /dev/null &
    nodes+=($!)
done
for at in 0 1 2; do
    name=${names[$at]}
    if ! written "${nodes[$at]}" "$logs/$name.log" "listening on " > /dev/null; then
        echo "node $name does not start:" >&2
        cat "$logs/$name.log" >&2
        exit 1
    fi
done

cat << TEXT
Three nodes are one chat, over $url. Join any of them from other terminals, in this folder:
TEXT
for at in 0 1 2; do
    port=$((first + at))
    echo "node ${names[$at]} (process ${nodes[$at]})"
    if [ -n "$python" ]; then echo "    $python examples/chat_peer.py bob $port"; fi
    echo "    cargo run --quiet --package veltix --example chat_client ann 127.0.0.1:$port"
done
if [ -z "$python" ]; then
    echo "(no Python peer: that needs python3 with venv, version 3.11 or later, and a package index)"
fi
cat << TEXT
A line that is said on one node appears on all, and /who lists the members of the room on all nodes. Try faults:
    kill -9 ${nodes[2]}
        node c is gone. This starts it again:
        $target/debug/cluster_chat --nats $url --name c --addr 127.0.0.1:$((first + 2))
TEXT
if [ -n "$broker" ]; then
    cat << TEXT
    kill -9 $broker
        the NATS server is gone, and each node serves its own clients. This starts it again:
        nats-server --config $logs/nats.conf --addr 127.0.0.1 --port ${url##*:}
TEXT
fi
echo "The logs are in $logs. Ctrl-C ends the nodes and the NATS server."
# The shell would report each program that was killed, with the unexpanded command.
exec 2> /dev/null
# A signal interrupts the wait.
wait "${nodes[@]}" || true

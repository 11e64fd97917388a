#!/usr/bin/env bash
# Prints the 15 most expensive functions of a server in each main workload.
#
#     benches/profile.sh [echo] [ingest] [broadcast] [connect]
#
# With perf the cost is time, including the kernel. Without perf, or with TOOL=callgrind, it is
# instructions outside the kernel, which takes some seconds more. SERVER=limit selects another server
# of `veltix-load`, and LASTS=5 runs each workload for five seconds.
set -euo pipefail
cd "$(dirname "$0")/.."

tool=${TOOL:-$(if command -v perf >/dev/null; then echo perf; else echo callgrind; fi)}
server=${SERVER:-veltix}
lasts=${LASTS:-3}
[ $# -gt 0 ] || set -- echo ingest broadcast connect

case $tool in
    perf) needs=perf ;;
    callgrind) needs=callgrind_annotate ;;
    *) echo "TOOL is perf or callgrind, not $tool" >&2 && exit 2 ;;
esac
if ! command -v "$needs" >/dev/null; then
    echo "$needs is not installed: install the package linux-perf or valgrind" >&2
    exit 2
fi

cargo build --quiet --locked --profile measure --package veltix-load
load=${CARGO_TARGET_DIR:-target}/measure/veltix-load
scratch=$(mktemp -d)
serving=
stop() {
    if [ -n "$serving" ]; then
        kill "$serving" 2>/dev/null || true
        wait "$serving" 2>/dev/null || true
        serving=
    fi
}
trap 'stop; rm -rf "$scratch"' EXIT

# Starts the server, below a program if one is given, and waits for its address.
start() {
    : >"$scratch/addr"
    "$@" "$load" serve "$server" >"$scratch/addr" 2>"$scratch/said" &
    serving=$!
    for _ in $(seq 200); do
        addr=$(head -n 1 "$scratch/addr")
        if [ -n "$addr" ]; then return; fi
        kill -0 "$serving" 2>/dev/null || break
        sleep 0.1
    done
    echo "the server $server did not print its address" >&2
    cat "$scratch/said" >&2
    exit 1
}

# Prints functions with their share of the cost. The input has lines of a cost, a file and a function.
# An inlined function counts for the function that contains it.
by_function() {
    awk '
        /PROGRAM TOTALS/ { gsub(",", "", $1); total = $1 }
        /^ *[0-9,]+ \( *[0-9.]+%\) +[^ ]*:/ {
            cost = $1
            gsub(",", "", cost)
            sub(/^ *[0-9,]+ \( *[0-9.]+%\) +/, "")
            sub(/ \[[^\]]*\]$/, "")
            sub(/^(\?\?\?|[^ ]*\.(rs|c|h|S)):/, "")
            costs[$0] += cost
        }
        END { for (name in costs) printf "%6.2f%%  %s\n", 100 * costs[name] / total, name }
    ' | sort -rn
}

for workload; do
    case $workload in
        echo) id=W3 ;;
        ingest) id=W2 ;;
        broadcast) id=W4_100 ;;
        connect) id=W7 ;;
        *) echo "there is no workload $workload: use echo, ingest, broadcast or connect" >&2 && exit 2 ;;
    esac
    printf '\n== %s (%s) of the server %s, measured by %s\n' "$workload" "$id" "$server" "$tool"
    data=$scratch/$id
    if [ "$tool" = perf ]; then
        start
        # The generator only ends the recording. Nothing of it is recorded.
        perf record --quiet --event cpu-clock --freq 1999 --pid "$serving" --output "$data" -- \
            "$load" drive "$id" "$addr" --wire "$server" --seconds "$lasts"
        stop
        perf report --input "$data" --stdio --no-children --sort symbol 2>/dev/null |
            sed '/^#/d; /^ *$/d' >"$data.txt"
        awk '/\[k\]/ { kernel += $1 } END { printf "%6.2f%%  the whole kernel\n", kernel }' "$data.txt"
    else
        start valgrind --tool=callgrind --callgrind-out-file="$data"
        "$load" drive "$id" "$addr" --wire "$server" --seconds "$lasts"
        stop
        callgrind_annotate --auto=no --threshold=100 "$data" | by_function >"$data.txt"
    fi
    head -n 15 "$data.txt" | cut -c 1-150 | sed 's/ *$//'
done

"""The package's own client under load, against a server of the same package.

    client.py --addr HOST:PORT [--connections N] [--tasks N] [--seconds S]

So many clients with so many threads on each, and each thread sends one request after the other. Prints one line
{"rate": answers a second, "p50_us": the median latency} and ends. A tenth of the time goes before that is not counted.
"""

import argparse
import json
import os
import statistics
import sys
import threading
import time

import veltix
from veltix import MessageType, Request

ECHO = MessageType(200, "echo")
BODY = b"x" * 64
TIMEOUT = 20.0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--addr", required=True)
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--tasks", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1.2)
    args = parser.parse_args()
    veltix.Logger.get_instance().configure(veltix.LoggerConfig(enabled=False))
    # Thousands of threads that only wait.
    threading.stack_size(256 * 1024)
    clients = [connect(args.addr) for _ in range(args.connections)]
    print(json.dumps(measure(clients, args.tasks, args.seconds)), flush=True)
    os._exit(0)  # the threads of the clients need not end one by one


def connect(addr):
    host, _, port = addr.rpartition(":")
    client = veltix.Client(veltix.ClientConfig(server_addr=host, port=int(port)))
    if not client.connect():
        sys.exit(f"no connection to {addr}")
    return client


def measure(clients, threads, seconds):
    latencies = [[] for _ in range(len(clients) * threads)]
    failures = []
    gate = threading.Event()
    span = []

    def run(number):
        client = clients[number % len(clients)]
        gate.wait()
        counted, end = span
        now = time.perf_counter()
        while now < end and not failures:
            answer = client.send_and_wait(Request(ECHO, BODY), timeout=TIMEOUT)
            before, now = now, time.perf_counter()
            if answer is None or answer.content != BODY:
                failures.append("no answer" if answer is None else "another answer")
            elif before >= counted and now < end:
                latencies[number].append(now - before)

    running = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(len(latencies))]
    for thread in running:
        thread.start()
    # The same for all: under the interpreter's lock some threads come to run much later than others.
    start = time.perf_counter()
    span[:] = start + seconds / 10, start + seconds * 1.1
    gate.set()
    for thread in running:
        thread.join()
    if failures:
        sys.exit(f"{failures[0]} within {TIMEOUT} s")
    every = [latency for each in latencies for latency in each]
    if not every:
        sys.exit("no answer in the time that counts")
    return {"rate": len(every) / seconds, "p50_us": statistics.median(every) * 1e6}


if __name__ == "__main__":
    main()

"""The package's own client under load, against a server of the same package.

    client.py --addr HOST:PORT [--connections N] [--tasks N] [--seconds S]

Starts N clients with N threads on each. Each thread sends one request after the other. Prints one line
{"rate": answers per second, "p50_us": median latency in microseconds} and ends. The measurement begins when each
thread has received an answer, or after 8 s, and a tenth of the measured time has passed.
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
WARM_UP = 8.0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--addr", required=True)
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--tasks", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1.2)
    args = parser.parse_args()
    veltix.Logger.get_instance().configure(veltix.LoggerConfig(enabled=False))
    # There may be thousands of threads, and they only wait.
    threading.stack_size(256 * 1024)
    clients = [connect(args.addr) for _ in range(args.connections)]
    print(json.dumps(measure(clients, args.tasks, args.seconds)), flush=True)
    os._exit(0)  # without waiting for the threads of the clients


def connect(addr):
    host, _, port = addr.rpartition(":")
    client = veltix.Client(veltix.ClientConfig(server_addr=host, port=int(port)))
    if not client.connect():
        sys.exit(f"no connection to {addr}")
    return client


def measure(clients, threads, seconds):
    answers = [[] for _ in range(len(clients) * threads)]
    failures = []
    begin, over = threading.Event(), threading.Event()

    def run(number):
        client = clients[number % len(clients)]
        begin.wait()
        while not (over.is_set() or failures):
            before = time.perf_counter()
            answer = client.send_and_wait(Request(ECHO, BODY), timeout=TIMEOUT)
            if answer is None or answer.content != BODY:
                failures.append("no answer" if answer is None else "another answer")
                return
            now = time.perf_counter()
            answers[number].append((now, now - before))

    running = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(len(answers))]
    for thread in running:
        thread.start()
    begin.set()
    # Under the interpreter's lock some threads start to run much later than others, and a few hardly run at all.
    patience = time.perf_counter() + WARM_UP
    while not (all(answers) or failures) and time.perf_counter() < patience:
        time.sleep(0.01)
    start = time.perf_counter() + seconds / 10
    time.sleep(seconds * 1.1)
    end = time.perf_counter()
    over.set()
    if failures:
        sys.exit(f"{failures[0]} within {TIMEOUT} s")
    latencies = [latency for each in answers for when, latency in list(each) if start <= when < end]
    if not latencies:
        sys.exit("no request was answered during the measurement")
    return {"rate": len(latencies) / (end - start), "p50_us": statistics.median(latencies) * 1e6}


if __name__ == "__main__":
    main()

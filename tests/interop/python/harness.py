"""The shared parts of all programs here: JSON lines on stdout, commands on stdin, and a guaranteed end."""

import json
import os
import queue
import sys
import threading
import zlib

LIFETIME_SECONDS = 120

# Only this module writes to the real stdout; all other output (the package's logger, a traceback) goes to stderr.
_stdout = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)
_stdout_lock = threading.Lock()


def emit(line):
    """Write one JSON object as one line, at once, from any thread."""
    text = json.dumps(line) + "\n"
    with _stdout_lock:
        try:
            _stdout.write(text)
            _stdout.flush()
        except OSError:  # the test has ended
            os._exit(1)


def live():
    """Make sure the process ends, and return the queue of commands (one dict per line of stdin).

    The process ends as soon as stdin is closed, in any state (so stdin must be a pipe that the test
    holds, never the null device), and after LIFETIME_SECONDS in any case.
    """
    commands = queue.Queue()

    def read_stdin():
        for line in sys.stdin.buffer:
            try:
                commands.put(json.loads(line))
            except ValueError as error:
                print("not a command:", line, error, flush=True)
                os._exit(2)
        os._exit(0)

    threading.Thread(target=read_stdin, daemon=True).start()
    watchdog = threading.Timer(LIFETIME_SECONDS, os._exit, [3])
    watchdog.daemon = True
    watchdog.start()
    return commands


def describe(response):
    """Return a received message as JSON: length and CRC-32 of the body, and its beginning as text."""
    body = response.content
    line = {
        "code": response.type.code,
        "id": response.request_id,
        "len": len(body),
        "crc32": zlib.crc32(body),
    }
    try:
        text = body.decode("utf-8")
        line["text"] = text[:200]
        line["cut"] = len(text) > 200
    except UnicodeDecodeError:
        line["hex"] = body[:100].hex()
        line["cut"] = len(body) > 100
    return line


def in_parallel(count, work):
    """Run work(0) ... work(count - 1) at the same time; return their results in that order, or raise an error."""
    results = [None] * count
    errors = []
    gate = threading.Barrier(count)

    def run(number):
        gate.wait()
        try:
            results[number] = work(number)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results

"""Run 40 veltix clients in one process, each with 25 concurrent requests of one code, and check every answer.

    many.py --port N [--core async|threading] [--clients 40] [--calls 25] [--code 210] [--timeout 30]

Prints one line {"clients", "connected", "calls", "ok", "failed": [...], "seconds"} and ends, with status 0 if all
calls succeeded. As for peer.py, stdin must be a pipe that stays open.
"""

import argparse
import os
import time

import compat
import harness


def main():
    parser = argparse.ArgumentParser(description="Many veltix clients for the interop tests.")
    parser.add_argument("--clients", type=int, default=40)
    parser.add_argument("--calls", type=int, default=25)
    parser.add_argument("--code", type=int, default=compat.ECHO)
    parser.add_argument("--timeout", type=float, default=30.0)
    compat.add_arguments(parser)
    args = parser.parse_args()
    harness.live()

    clients = [compat.new_client(args) for _ in range(args.clients)]
    for client in clients:
        answer_questions(client)
    started = time.monotonic()
    connected = harness.in_parallel(args.clients, lambda number: connect(clients[number]))

    def call(number):
        index, nth = divmod(number, args.calls)
        name = f"{index}-{nth}"
        if not connected[index]:
            return dict(call=name, error="not connected")
        body = f"client and call {name}"
        request = compat.build({"code": args.code, "text": body})
        reply = clients[index].send_and_wait(request, timeout=args.timeout)
        if reply is None:
            return dict(call=name, error="timeout")
        return None if compat.is_right(args.code, body.encode(), reply) else dict(harness.describe(reply), call=name)

    calls = args.clients * args.calls
    failed = [failure for failure in harness.in_parallel(calls, call) if failure]
    harness.emit(
        {
            "clients": args.clients,
            "connected": sum(connected),
            "calls": calls,
            "ok": calls - len(failed),
            "failed": failed[:20],
            "seconds": round(time.monotonic() - started, 3),
        }
    )
    harness.in_parallel(args.clients, lambda number: clients[number].disconnect())
    os._exit(1 if failed else 0)  # does not wait for the thread that reads stdin


def connect(client):
    try:
        return client.connect()
    except Exception:  # ServerFullError
        return False


def answer_questions(client):
    """Answer questions, which --code 211 (ask_back) needs."""

    @client.route(compat.TYPES[compat.QUESTION])
    def question(response):
        client.send(compat.answer(response, response.content.upper()))


main()

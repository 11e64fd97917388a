"""A real veltix client or server that a test controls with one JSON object a line (stdin in, stdout out).

    peer.py client --port N [--core async|threading] [--retry N] [--retry-delay S] ...
    peer.py server [--port N] [--core async|threading] [--max-connection N] ...

The first line is {"event": "ready", "role", "version", "core"}. A client then connects, and its first attempts
emit {"event": "connected"} or {"event": "error", "error": "ServerFullError" | "ConnectFailed", ...}. A server
then emits {"event": "listening", "port": N}.

Commands are executed one after another, and each is answered by one line {"done": <do>, "ok": bool, ...}; a failure
has "error" (and "message"). A key "tag" of a command is repeated in its answer. Bodies are given by one of "json",
"text", "text_repeat": [text, times], "hex", or are empty; "id" sets the request id.

both    send, request (timeout -> reply), ping (timeout -> ms), burst (code, count, from: sends {"n": i}),
        calls (code, threads, each, size, timeout: concurrent requests -> calls, right, timeouts, wrong),
        collect (code: from then on count these messages instead of reporting them),
        collected (code, count, timeout: waits for `count` messages -> count, in_order, first, last), kill
client  connect, disconnect, retry (max), stop_retry, state
server  send, request, ping, burst and calls take "index", the client's number in order of connecting (never used
        twice); request_client and ping_client are request and ping; send_to_all, broadcast (except: [index]),
        clients, close_client (index), close_all, start

Other lines are events: connected, disconnected, message (code, id, len, crc32, the beginning as text or hex, cut),
error. A server adds "index". Some messages are answered and not reported, see `automatic`.
"""

import argparse
import json
import os
import threading
import time

import compat
import harness
from compat import ASK_BACK, ECHO, PING_ME, QUESTION
from harness import emit


class Tally:
    """Counts the messages of one code, and checks whether the n of {"n": n} rises for each sender."""

    def __init__(self):
        self.changed = threading.Condition()
        self.count = 0
        self.in_order = True
        self.first = {}
        self.last = {}

    def add(self, sender, body):
        try:
            n = json.loads(body)["n"]
        except (ValueError, KeyError, TypeError):
            n = None
        with self.changed:
            self.count += 1
            if n is not None:
                self.in_order = self.in_order and n > self.last.get(sender, n - 1)
                self.first.setdefault(sender, n)
                self.last[sender] = n
            self.changed.notify_all()

    def report(self, count, timeout):
        with self.changed:
            enough = self.changed.wait_for(lambda: self.count >= count, timeout)
            return {
                "ok": enough,
                "count": self.count,
                "in_order": self.in_order,
                "first": min(self.first.values(), default=None),
                "last": max(self.last.values(), default=None),
            }


class Peer:
    """The shared parts of a client and a server.

    A method do_X does the command X and returns the keys of its answer; a bool stands for {"ok": bool}.
    The subclass sends to, requests from and pings the peer that the command names (post, ask, time_ping), answers a
    sender (reply) and returns the keys that identify it (origin).
    """

    def __init__(self):
        self.tallies = {}

    def handle(self, sender, response):
        """Runs for every message, on a worker thread of the package. In a client, sender is None."""
        code = response.type.code
        tally = self.tallies.get(code)
        if tally:
            tally.add(sender, response.content)
        if not self.automatic(sender, response) and not tally:
            emit(dict(harness.describe(response), event="message", **self.origin(sender)))

    def automatic(self, sender, response):
        """Both roles answer a question (212) with its body upper-cased (ASCII letters)."""
        if response.type.code != QUESTION:
            return False
        self.reply(sender, response, response.content.upper())
        return True

    def do_send(self, command):
        return self.post(compat.build(command), command)

    def do_request(self, command):
        reply = self.ask(compat.build(command), command)
        if reply is None:
            return {"ok": False, "error": "Timeout"}
        return {"ok": True, "reply": harness.describe(reply)}

    def do_ping(self, command):
        ms = self.time_ping(command)
        return {"ok": ms is not None, "ms": ms}

    def do_burst(self, command):
        start = command.get("from", 0)
        sent = [
            self.post(compat.build({"code": command["code"], "json": {"n": n}}), command)
            for n in range(start, start + command["count"])
        ]
        return {"ok": all(sent), "count": len(sent)}

    def do_calls(self, command):
        code, threads, each = command["code"], command.get("threads", 1), command.get("each", 1)
        started = time.monotonic()

        def call(thread):
            outcomes = []
            for number in range(each):
                name = f"{thread}-{number}"
                body = f"call {name} ".ljust(command.get("size", 0), "x")
                reply = self.ask(compat.build({"code": code, "text": body}), command)
                if reply is None:
                    outcomes.append("timeout")
                elif compat.is_right(code, body.encode(), reply):
                    outcomes.append("right")
                else:
                    outcomes.append(dict(harness.describe(reply), call=name))
            return outcomes

        outcomes = [outcome for result in harness.in_parallel(threads, call) for outcome in result]
        right, timeouts = outcomes.count("right"), outcomes.count("timeout")
        return {
            "ok": right == threads * each,
            "calls": threads * each,
            "right": right,
            "timeouts": timeouts,
            "wrong": [outcome for outcome in outcomes if isinstance(outcome, dict)][:20],
            "seconds": round(time.monotonic() - started, 3),
        }

    def do_collect(self, command):
        self.tallies[command["code"]] = Tally()
        return True

    def do_collected(self, command):
        return self.tallies[command["code"]].report(command.get("count", 0), command.get("timeout", 10.0))

    def obey(self, command):
        do = command.get("do")
        answer = {"done": do}
        if "tag" in command:
            answer["tag"] = command["tag"]
        if do == "kill":
            emit(dict(answer, ok=True))
            os._exit(9)
        try:
            result = getattr(self, f"do_{do}")(command)
            answer.update(result if isinstance(result, dict) else {"ok": bool(result)})
        except Exception as error:
            answer.update(ok=False, error=type(error).__name__, message=str(error))
        emit(answer)


class ClientPeer(Peer):
    def __init__(self, args):
        super().__init__()
        self.client = compat.new_client(args)
        compat.receive(self.client, lambda response: self.handle(None, response))
        self.client.on_connect(lambda: emit({"event": "connected"}))
        self.client.on_disconnect(self.report_disconnect)

    def begin(self):
        # Not on the thread that executes commands, so that stop_retry and disconnect work during the first attempts.
        threading.Thread(target=self.first_connect, daemon=True).start()

    def first_connect(self):
        result = self.do_connect({})
        if not result["ok"]:
            emit(dict(result, event="error"))

    @staticmethod
    def report_disconnect(state):
        emit(
            {
                "event": "disconnected",
                "permanent": state.permanent,
                "attempt": state.attempt,
                "retry_max": state.retry_max,
                "reason": state.reason.name,
            }
        )

    def origin(self, _sender):
        return {}

    def reply(self, _sender, response, content):
        self.client.send(compat.answer(response, content))

    def post(self, request, _command):
        return self.client.send(request)

    def ask(self, request, command):
        return self.client.send_and_wait(request, timeout=command.get("timeout", 5.0))

    def time_ping(self, command):
        return self.client.ping_server(timeout=command.get("timeout", 5.0))

    def do_connect(self, _command):
        try:
            ok = self.client.connect()
        except Exception as error:  # ServerFullError
            return {"ok": False, "error": type(error).__name__, "message": str(error)}
        return {"ok": True} if ok else {"ok": False, "error": "ConnectFailed", "message": ""}

    def do_disconnect(self, _command):
        return self.client.disconnect()

    def do_retry(self, command):
        self.client.retry(max_=command.get("max"))
        return True

    def do_stop_retry(self, _command):
        self.client.stop_retry()
        return True

    def do_state(self, _command):
        return {"ok": True, "connected": self.client.is_connected, "running": self.client.running}


class ServerPeer(Peer):
    def __init__(self, args):
        super().__init__()
        self.lock = threading.Lock()
        self.clients = []  # by index; None after the end
        self.server = compat.new_server(args)
        compat.receive(self.server, self.handle)
        self.server.on_connect(self.report_connect)
        self.server.on_disconnect(self.report_disconnect)

    def begin(self):
        try:
            emit({"event": "listening", "port": compat.start(self.server)})
        except OSError as error:
            emit({"event": "error", "error": type(error).__name__, "message": str(error)})
            os._exit(1)

    def report_connect(self, client):
        with self.lock:
            self.clients.append(client)
        emit({"event": "connected", **self.origin(client)})

    def report_disconnect(self, client):
        origin = self.origin(client)
        with self.lock:
            if origin["index"] is not None:
                self.clients[origin["index"]] = None
        emit({"event": "disconnected", **origin})

    def origin(self, client):
        # No index: a connection that has not finished its handshake, or a message handled after its loss.
        with self.lock:
            index = self.clients.index(client) if client in self.clients else None
        return {"index": index, "port": client.addr[1]}

    def named(self, command):
        client = self.clients[command["index"]]
        if client is None:
            raise LookupError(f"client {command['index']} is gone")
        return client

    def automatic(self, client, response):
        """A server also answers the codes 210, 211 and 214."""
        code, content = response.type.code, response.content
        if code == ASK_BACK:
            question = compat.build({"code": QUESTION, "hex": content.hex()})
            came_back = self.server.send_and_wait(question, client, timeout=3.0)
            content = came_back.content if came_back else b"no answer"
        elif code == PING_ME:
            content = b"no pong" if self.server.ping_client(client, timeout=3.0) is None else b"pong"
        elif code != ECHO:
            return super().automatic(client, response)
        self.reply(client, response, content)
        return True

    def reply(self, client, response, content):
        self.server.send(compat.answer(response, content), client)

    def post(self, request, command):
        return self.server.send(request, self.named(command))

    def ask(self, request, command):
        return self.server.send_and_wait(request, self.named(command), timeout=command.get("timeout", 5.0))

    def time_ping(self, command):
        return self.server.ping_client(self.named(command), timeout=command.get("timeout", 5.0))

    do_request_client = Peer.do_request
    do_ping_client = Peer.do_ping

    def do_send_to_all(self, command):
        # One request for each client: a request keeps the id that it got when it was first sent.
        clients = [client for client in self.clients if client]
        return {"ok": all([self.server.send(compat.build(command), c) for c in clients]), "count": len(clients)}

    def do_broadcast(self, command):
        spared = [self.named({"index": index}) for index in command.get("except", [])]
        return self.server.broadcast(compat.build(command), except_clients=spared)

    def do_clients(self, _command):
        return {"ok": True, "clients": [self.origin(client) for client in self.server.clients]}

    def do_close_client(self, command):
        return self.server.close_client(self.named(command))

    def do_close_all(self, _command):
        self.server.close_all()
        return True

    def do_start(self, _command):
        return {"ok": True, "port": compat.start(self.server)}


def main():
    parser = argparse.ArgumentParser(description="A veltix peer for the interop tests.")
    parser.add_argument("role", choices=["client", "server"])
    parser.add_argument("--max-connection", type=int, default=-1, help="server")
    compat.add_arguments(parser)
    args = parser.parse_args()

    commands = harness.live()
    emit({"event": "ready", "role": args.role, "version": compat.VERSION, "core": args.core})
    peer = ClientPeer(args) if args.role == "client" else ServerPeer(args)
    peer.begin()
    while True:
        peer.obey(commands.get())


main()

"""The server of the load harness on the Python package: prints its address and serves until it is killed.

Codes: 200 is sent back, 201 has no answer, 202 is sent to all others, 203 is sent to the others that have the tag
"room", and 204 gives this tag to the sender and is sent back.
"""

import sys
import threading

import veltix
from veltix import MessageType, Request

ECHO, SINK, PUBLISH, PUBLISH_TAG, JOIN = (
    MessageType(code, name)
    for code, name in ((200, "echo"), (201, "sink"), (202, "publish"), (203, "publish_tag"), (204, "join"))
)


def main():
    veltix.Logger.get_instance().configure(veltix.LoggerConfig(enabled=False))
    # One worker. With several, the messages of one sender overtake each other, and under the interpreter's lock
    # they are no faster.
    config = veltix.ServerConfig(host="127.0.0.1", port=0, max_connection=-1, max_workers=1)
    server = veltix.Server(config)

    @server.route(ECHO)
    def echo(client, message):
        reply(client, message)

    @server.route(SINK)
    def sink(_client, _message):
        pass

    @server.route(PUBLISH)
    def publish(client, message):
        server.broadcast(Request(PUBLISH, message.content), except_clients=[client])

    @server.route(PUBLISH_TAG)
    def publish_tag(client, message):
        tagged = server.get_clients_by_tag("room")
        server.sender.broadcast(Request(PUBLISH_TAG, message.content), tagged, except_clients=[client])

    @server.route(JOIN)
    def join(client, message):
        client.add_tag("room")
        reply(client, message)

    def reply(client, message):
        answer = Request(message.type, message.content)
        answer.respond(message)
        server.send(answer, client)

    server.start()
    # Only the socket knows its port.
    host, port = server.socket._sock.getsockname()
    print(f"{host}:{port}", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    sys.exit(main())

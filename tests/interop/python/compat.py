"""The veltix package as the tests use it, the same for the versions 2.0.3, 3.0.2 and 3.3.0.

The public calls used here (route, on_connect, on_disconnect, send, broadcast, send_and_wait, ping_*,
close_client, close_all) have the same shape in the three. A comment notes each difference that affects the code.
"""

import veltix
from veltix import MessageType, Request

VERSION = veltix.__version__

SAY, JOIN, ROSTER, MOTD = 200, 201, 202, 203
ECHO, ASK_BACK, QUESTION, COUNT, PING_ME = 210, 211, 212, 213, 214
NAMES = {
    SAY: "say",
    JOIN: "join",
    ROSTER: "roster",
    MOTD: "motd",
    ECHO: "echo",
    ASK_BACK: "ask_back",
    QUESTION: "question",
    COUNT: "count",
    PING_ME: "ping_me",
}
# Explicit numbers: without them a type gets the first free code in order of declaration.
TYPES = {code: MessageType(code, name) for code, name in NAMES.items()}


def message_type(code):
    """The type of a code. Other codes can be sent too (to see a peer drop them); the package never delivers them."""
    if code not in TYPES:
        TYPES[code] = MessageType(code, f"type_{code}")
    return TYPES[code]


def build(command):
    """Return the request that a command describes: "code", an optional "id", and one kind of body or none."""
    if "json" in command:
        body = {"json": command["json"]}
    elif "text" in command:
        body = {"text": command["text"]}
    elif "text_repeat" in command:
        text, times = command["text_repeat"]
        body = {"text": text * times}
    else:
        body = {"content": bytes.fromhex(command.get("hex", ""))}
    return Request(message_type(command["code"]), request_id=command.get("id"), **body)


def answer(response, content):
    """Return the answer to a received message: same code, same id."""
    reply = Request(response.type, content)
    reply.respond(response)
    return reply


def is_right(code, body, reply):
    """Return True if reply is the answer of a correct peer to this request."""
    if code == PING_ME:
        expected = b"pong"
    elif code in (ASK_BACK, QUESTION):
        expected = body.upper()
    else:
        expected = body
    return reply.type.code == code and reply.content == expected


def add_arguments(parser):
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--core", choices=["async", "threading"], default="async")
    parser.add_argument("--retry", type=int, default=0, help="client")
    parser.add_argument("--retry-delay", type=float, default=1.0, help="client")
    parser.add_argument("--handshake-timeout", type=float, default=5.0)
    # One worker handles messages in the order in which they arrive; several would reorder them.
    parser.add_argument("--workers", type=int, default=1)


def new_client(args):
    silence()
    config = veltix.ClientConfig(
        server_addr=args.host,
        port=args.port,
        socket_core=_core(args),
        max_workers=args.workers,
        handshake_timeout=args.handshake_timeout,
        retry=args.retry,
        retry_delay=args.retry_delay,
    )
    return veltix.Client(config)


def new_server(args):
    silence()
    config = veltix.ServerConfig(
        host=args.host,
        port=args.port,
        socket_core=_core(args),
        max_workers=args.workers,
        handshake_timeout=args.handshake_timeout,
        max_connection=args.max_connection,
    )
    return veltix.Server(config)


def start(server):
    """Start a server and return its port.

    Port 0 works, but no version reports the chosen port: only the socket has it. It is kept in the config, so
    that a start after close_all uses the same one.
    """
    server.start()
    server.config.port = server.socket._sock.getsockname()[1]
    return server.config.port


def receive(endpoint, handler):
    """Have every registered type handled by handler (a route each).

    Routes and not on_recv, because 2.0.3 and 3.0.2 forget on_recv when they reconnect.
    """
    for type_ in list(TYPES.values()):
        endpoint.route(type_)(handler)


def silence():
    veltix.Logger.get_instance().configure(veltix.LoggerConfig(enabled=False))


def _core(args):
    return veltix.SocketCore[args.core.upper()]

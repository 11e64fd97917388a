"""A Python peer for the chat server: sends each line of its input, and prints the lines of other peers and the
notices of the server.

Usage: chat_peer.py [NAME] [PORT]. Needs the package: pip install veltix==3.3.0
"""
import sys

from veltix import Client, ClientConfig, Logger, LoggerConfig, LogLevel, MessageType, Request

SAY = MessageType(200, "say", "Chat message")
MOTD = MessageType(203, "motd", "Welcome and notices of the server")

name = sys.argv[1] if len(sys.argv) > 1 else "python"
port = int(sys.argv[2]) if len(sys.argv) > 2 else 8080

# The package logs to stdout, in colours: here only its warnings, and colours only on a terminal.
Logger(LoggerConfig(level=LogLevel.WARNING, use_colors=sys.stderr.isatty(), stream=sys.stderr))
client = Client(ClientConfig(server_addr="127.0.0.1", port=port, retry=10))


@client.route(SAY)
def heard(response):
    print(f"{response.json['from']}: {response.json['text']}")


@client.route(MOTD)
def motd(response):
    print(response.text)


if not client.connect():
    sys.exit(f"nobody listens on port {port}")
for line in sys.stdin:
    client.send(Request(SAY, json={"from": name, "text": line.rstrip("\n")}))
client.disconnect()

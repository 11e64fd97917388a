"""A Python peer of the example `auth`: sends its token on request, and prints the other users.

Usage: auth_client.py TOKEN [PORT]. Needs the package: pip install veltix==3.3.0
"""
import sys
import threading

from veltix import Client, ClientConfig, Logger, LoggerConfig, MessageType, Request

WHO_ARE_YOU = MessageType(200, "who_are_you")
TOKEN = MessageType(201, "token")
WELCOME = MessageType(202, "welcome")
REFUSED = MessageType(203, "refused")
WHO_IS_HERE = MessageType(204, "who_is_here")
ROSTER = MessageType(205, "roster")
KICK = MessageType(206, "kick")
KICKED = MessageType(207, "kicked")
DENIED = MessageType(208, "denied")

token = sys.argv[1] if len(sys.argv) > 1 else "sesame-bob"
port = int(sys.argv[2]) if len(sys.argv) > 2 else 8080

Logger.get_instance().configure(LoggerConfig(enabled=False))
client = Client(ClientConfig(server_addr="127.0.0.1", port=port))
judged = threading.Event()
user = reason = None


@client.route(WHO_ARE_YOU)
def say_token(question):
    # The id of the request makes this message the answer.
    client.send(Request(TOKEN, json={"token": token}, request_id=question.request_id))


@client.route(WELCOME)
def welcome(response):
    global user
    user = response.json["user"]
    judged.set()


@client.route(REFUSED)
def refused(response):
    global reason
    reason = response.json["reason"]
    judged.set()


if not client.connect():
    sys.exit(f"nobody listens on port {port}")
judged.wait(timeout=10)
if user is None:
    sys.exit(f"refused: {reason}")
print(f"welcome, {user}")

roster = client.send_and_wait(Request(WHO_IS_HERE, b""))
print(f"here: {', '.join(roster.json['users'])}")
answer = client.send_and_wait(Request(KICK, json={"user": "nobody"}))
if answer.type.code == KICKED.code:
    print(f"kicked: {answer.json['connections']}")
else:
    print(f"denied: {answer.json['reason']}")
client.disconnect()

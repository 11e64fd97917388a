"""A Python player for the example `game`: enters the arena of the bots, moves in circles, prints the positions of others.

Usage: game_player.py [NAME] [PORT] [SECONDS]. Needs the package: pip install veltix==3.3.0
"""
import math
import sys
import time

from veltix import Client, ClientConfig, MessageType, Request

ENTER = MessageType(200, "enter")
WELCOME = MessageType(201, "welcome")
REFUSED = MessageType(202, "refused")
JOINED = MessageType(203, "joined")
LEFT = MessageType(204, "left")
MOVE = MessageType(205, "move")
POSITION = MessageType(206, "position")

name = sys.argv[1] if len(sys.argv) > 1 else "python"
port = int(sys.argv[2]) if len(sys.argv) > 2 else 8080
seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 10.0

# With one worker, messages are handled in the order of their arrival.
client = Client(ClientConfig(server_addr="127.0.0.1", port=port, max_workers=1))
names = {}
positions = {}


def say(line):
    print(line, flush=True)


@client.route(JOINED)
def joined(response):
    player = response.json
    names[player["player"]] = player["name"]
    say(f"{player['name']} joined")


@client.route(LEFT)
def left(response):
    player = response.json["player"]
    positions.pop(player, None)
    say(f"{names.pop(player, player)} left")


@client.route(POSITION)
def moved(response):
    position = response.json
    positions[position["player"]] = (position["x"], position["y"])


def leave(words):
    client.disconnect()
    sys.exit(words)


def enter():
    welcome = client.send_and_wait(Request(ENTER, json={"name": name, "arena": "main"}), timeout=5.0)
    if welcome is None:
        leave("the server does not answer")
    if welcome.type.code == REFUSED.code:
        leave(f"the server refuses: {welcome.json['reason']}")
    for player in welcome.json["players"]:
        names[player["player"]] = player["name"]
    say(f"{name} is in, with {len(welcome.json['players'])} others")


def walk(angle):
    x, y = 500 + 400 * math.cos(angle), 500 + 400 * math.sin(angle)
    client.send(Request(MOVE, json={"x": x, "y": y}))


def look():
    where = [f"{names.get(player, player)} at {x:.0f},{y:.0f}" for player, (x, y) in list(positions.items())]
    say(f"sees {len(where)}: {'; '.join(sorted(where)[:4])}")


if not client.connect():
    sys.exit(f"nobody listens on port {port}")
enter()
begun = time.monotonic()
step = 0
while client.is_connected and time.monotonic() - begun < seconds:
    step += 1
    walk(step / 64)
    if step % 64 == 0:
        look()
    time.sleep(1 / 64)
if not client.is_connected:
    say("the game is over")
client.disconnect()

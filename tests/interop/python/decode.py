"""Reads streams with the package's own decoder: `decode.py INPUT OUTPUT compiled|python CODE...`.

INPUT contains streams one after the other: max_message_size, max_buffer_size and the number of chunks, each of four
bytes, and the chunks, each behind its length. For each stream OUTPUT receives the number of messages, the messages
(code and id of two bytes each, the body behind its length), and the number of bytes that are left in the buffer.
Messages have the CODEs and those that the package itself knows. The messages that it drops are not reported.
"""

import struct
import sys

from veltix import MessageType
from veltix.network import _rust
from veltix.network.message_buffer import MessageBuffer


def main():
    source, target, engine, *codes = sys.argv[1:]
    if engine == "compiled" and not _rust.rust_enabled():
        sys.exit("this Python has no compiled engine")
    for code in codes:
        MessageType(int(code), f"type_{code}")
    with open(source, "rb") as file:
        data = file.read()
    at = 0

    def number():
        nonlocal at
        at += 4
        return struct.unpack_from(">I", data, at - 4)[0]

    with open(target, "wb") as file:
        while at < len(data):
            buffer = MessageBuffer(number(), number(), use_rust=engine == "compiled")
            messages = []
            for _ in range(number()):
                length = number()
                buffer.add_data(data[at : at + length])
                at += length
                messages += buffer.extract_messages()
            file.write(struct.pack(">I", len(messages)))
            for message in messages:
                head = struct.pack(">HHI", message.type.code, message.request_id, len(message.content))
                file.write(head + message.content)
            file.write(struct.pack(">I", len(buffer)))


main()

"""Streams of a tee for tests, and what a pcapng file holds, read by a foreign reader."""

import io
from array import array

from emulator.link.taps import HEAD, MAGIC

DATAGRAM = bytes.fromhex("4500002000010000401166ca0a0000010a00000200010002000c000061626364")


def batch(*packets, lost=0):
    """A batch of packets: (left_s, end, cause, data, original length), the last three may be left out."""
    rows = [(*packet, *(0, DATAGRAM, 0)[len(packet) - 2 :]) for packet in packets]
    bodies = [bytes(10) + data for _, _, _, data, _ in rows]
    columns = (
        array("d", [row[0] for row in rows]),
        array("I", [row[1] << 8 | int(row[2]) for row in rows]),
        array("I", map(len, bodies)),
        array("I", [10 + (row[4] or len(row[3])) for row in rows]),
    )
    body = b"".join(bodies)
    return HEAD.pack(MAGIC, len(rows), len(body), lost) + b"".join(columns) + body


def blocks(data):
    import pcapng

    return list(pcapng.FileScanner(io.BytesIO(data)))


def comments(data):
    """The comment of every packet, "" for none."""
    packets = [block for block in blocks(data) if type(block).__name__ == "EnhancedPacket"]
    return ["; ".join(packet.options.get_all("opt_comment")) for packet in packets]


def faces(data):
    """The interface name of every packet."""
    found, names = [], []
    for block in blocks(data):
        if type(block).__name__ == "SectionHeader":
            names = []
        elif type(block).__name__ == "InterfaceDescription":
            names.append(block.options["if_name"])
        elif type(block).__name__ == "EnhancedPacket":
            found.append(names[block.interface_id])
    return found

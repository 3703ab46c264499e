"""Our pcapng writer beside python-pcapng: packets of 64 and 1,400 bytes into memory, one by one and many at once.

Both files are read back by python-pcapng and hold the same packets. Prints microseconds of processor time a packet.
Needs `pip install python-pcapng`, which is among the development dependencies.

    python -m benchmarks pcapng [--packets 20000]
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import time

import numpy as np

from emulator.record.pcapng import LINKTYPE_RAW, Interface, PcapngWriter

START_NS = 1_790_000_000_000_000_000
APART_NS = 1_000


def ours(data: bytes, count: int) -> bytes:
    out = io.BytesIO()
    writer = PcapngWriter(out.write)
    interface = writer.interface(Interface("a:b"))
    for number in range(count):
        writer.packet(interface, START_NS + number * APART_NS, data)
    return out.getvalue()


def ours_at_once(data: bytes, count: int) -> bytes:
    out = io.BytesIO()
    writer = PcapngWriter(out.write)
    interface = writer.interface(Interface("a:b"))
    times_ns = START_NS + APART_NS * np.arange(count, dtype=np.int64)
    rows = np.broadcast_to(np.frombuffer(data, np.uint8), (count, len(data)))
    writer.packets(interface, times_ns, rows, len(data))
    return out.getvalue()


def theirs(data: bytes, count: int) -> bytes:
    from pcapng import FileWriter, blocks
    from pcapng.structs import EPBFlags

    out = io.BytesIO()
    section = blocks.SectionHeader(endianness="<")
    section.new_member(
        blocks.InterfaceDescription, link_type=LINKTYPE_RAW, options={"if_name": "a:b", "if_tsresol": b"\x09"}
    )
    writer = FileWriter(out, section)
    outbound = EPBFlags(2)
    for number in range(count):
        at_ns = START_NS + number * APART_NS
        packet = section.new_member(blocks.EnhancedPacket, interface_id=0, options={"epb_flags": outbound})
        packet.timestamp_high, packet.timestamp_low = at_ns >> 32, at_ns & 0xFFFFFFFF
        packet.packet_data = data
        writer.write_block(packet)
    return out.getvalue()


def packets(file: bytes) -> list[tuple[int, bytes]]:
    from pcapng import FileScanner
    from pcapng.blocks import EnhancedPacket

    found = (block for block in FileScanner(io.BytesIO(file)) if isinstance(block, EnhancedPacket))
    return [(block.timestamp_high << 32 | block.timestamp_low, block.packet_data) for block in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packets", type=int, default=20_000)
    options = parser.parse_args()
    try:
        import pcapng  # noqa: F401
    except ImportError:
        sys.exit("python-pcapng is missing: pip install python-pcapng")
    for size in (64, 1400):
        data = bytes(at & 0xFF for at in range(size))
        spent_us = {}
        files = []
        for write in (ours, ours_at_once, theirs):
            begun = time.process_time()
            files.append(write(data, options.packets))
            spent_us[f"{write.__name__}_us"] = round((time.process_time() - begun) / options.packets * 1e6, 2)
        assert packets(files[0]) == packets(files[1]) == packets(files[2])
        ratio = round(spent_us["theirs_us"] / spent_us["ours_us"], 1)
        print(json.dumps({"bytes": size, **spent_us, "theirs_to_ours": ratio}), flush=True)


if __name__ == "__main__":
    main()

"""Following a capture of a live run: the relay's compact records in, pcapng out.

Invariant: what is written always ends at the end of a block, also when Ctrl-C or the end of the run cuts it short.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from emulator.runtime.capturing import READ_BYTES, pipe
from emulator.runtime.client import Connection


def follow(links: Sequence[str], out: int, snaplen: int = 0, run: str | None = None) -> int:
    """Write pcapng of the link ends to descriptor `out` until interrupted, until the run ends, or until nobody reads.

    Returns the number of packets. Raises what the run answers where there is no such end.
    """
    from emulator.record.capture import CaptureConverter
    from emulator.record.pcapng import Interface

    connection = Connection(run)
    read_end, write_end = pipe()
    try:
        answer = connection.ask({"op": "capture", "links": list(links), "snaplen": snaplen}, (write_end,))
    finally:
        os.close(write_end)
    described: dict[int, Interface] = {}
    while answer["op"] == "interfaces":
        described |= {end: Interface(name, text, kind, kept) for end, name, text, kind, kept in answer["interfaces"]}
        answer = connection.receive()
    converter = CaptureConverter(lambda data: _write_all(out, data), described, answer["t0_utc_ns"])
    try:
        while data := os.read(read_end, READ_BYTES):
            converter.feed(data)
        converter.finish()
    except KeyboardInterrupt:
        converter.finish()
    except BrokenPipeError:
        pass
    finally:
        connection.close()
        os.close(read_end)
    return converter.packets


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]

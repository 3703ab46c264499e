"""Follows a capture of a live run: converts the relay's compact records to pcapng.

Invariant: the output always ends at the end of a block, also if Ctrl-C or the end of the run stops it.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emulator.client.watch import Connection
from emulator.runtime.capture.writer import HOLD_S, READ_BYTES, pipe
from emulator.runtime.control.messages import AddressNames, Capturing, Interfaces, Remarks, Renamed, StartCapture
from emulator.runtime.control.transport import hear

if TYPE_CHECKING:
    from emulator.record.capture import CaptureConverter
    from emulator.record.pcapng import Interface

ANSWERS: tuple[type[Interfaces | AddressNames | Capturing], ...] = (Interfaces, AddressNames, Capturing)
NEWS: tuple[type[Renamed | Remarks], ...] = (Renamed, Remarks)


def follow(
    links: Sequence[str],
    out: int,
    snaplen: int = 0,
    run: str | None = None,
    *,
    filter: str = "",
    most: int | None = None,
    seconds: float = inf,
) -> int:
    """Write pcapng of link ends (or all of nodes) to descriptor `out` until interrupted, until the run ends, until the
    reader closes it, after `most` packets, or after some seconds.

    Returns the number of packets. Raises the run's error for an unknown end or an invalid filter.
    """
    connection = Connection(run)
    read_end, write_end = pipe()
    try:
        connection.send(StartCapture(tuple(links), snaplen, filter), (write_end,))
        answer = connection.receive(ANSWERS)
    except BaseException:
        os.close(read_end)
        connection.close()
        raise
    finally:
        os.close(write_end)
    described: dict[int, Interface] = {}
    names: dict[bytes, str] = {}
    while not isinstance(answer, Capturing):
        match answer:
            case Interfaces(rows):
                described |= {row[0]: _interface(row) for row in rows}
            case AddressNames(pairs):
                names |= dict(pairs)
        answer = connection.receive(ANSWERS)
    try:
        return _follow(connection, read_end, out, (described, names), answer, most, time.monotonic() + seconds)
    finally:
        connection.close()
        os.close(read_end)


def _follow(
    connection: Connection, read_end: int, out: int, known: tuple[dict[int, Interface], dict[bytes, str]],
    answer: Capturing, most: int | None, until: float,
) -> int:  # fmt: skip
    from emulator.record.capture import CaptureConverter, Stream
    from emulator.record.key_logs import KeyLogs
    from emulator.record.packet_filter import Filter
    from emulator.record.section import Section

    described, names = known
    keys = KeyLogs(Path(answer.keys)) if answer.keys else None
    keep = Filter(answer.filter) if answer.filter else None
    section = Section(Stream(lambda data: _write_all(out, data)), described, answer.t0_utc_ns, names=names)
    converter = CaptureConverter(described, lambda end: section, keep, most)
    poll = select.poll()
    poll.register(read_end, select.POLLIN)
    poll.register(connection, select.POLLIN)
    open_ends = {read_end, connection.fileno()}
    try:
        while read_end in open_ends and not converter.full and time.monotonic() < until:
            data = b""
            for fd, _events in poll.poll(HOLD_S * 1e3):
                if fd == read_end:
                    data = os.read(read_end, READ_BYTES)
                    over = not data
                else:
                    over = not _receive(connection, converter)
                if over:
                    poll.unregister(fd)
                    open_ends.discard(fd)
            if data:
                news = keys.news() if keys is not None else b""
                if news:
                    converter.secrets(news)
                converter.feed(data)
        converter.finish()
    except KeyboardInterrupt:
        converter.finish()
    except BrokenPipeError:
        pass
    return converter.packets


def _receive(connection: Connection, converter: CaptureConverter) -> bool:
    """Process the run's messages; returns False if the run has ended."""
    match hear(connection.channel, NEWS):
        case None:
            return False
        case Renamed(rows):
            for t_s, text, end, *described in rows:
                converter.happens(end, t_s, text, _interface((end, *described)))
        case Remarks(remarks):
            for t_s, end, text in remarks:
                converter.happens(end, t_s, text)
    return True


def _interface(row: Sequence[Any]) -> Interface:
    from emulator.record.pcapng import Interface

    _, name, description, linktype, snaplen = row
    return Interface(name, description, linktype, snaplen)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]

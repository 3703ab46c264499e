"""Captures across hosts: what each host's relay writes into a pipe comes to the lead, which writes it on.

Invariant: a reader gets whole batches only, with the packets of all hosts in the order in which they left. One that
does not read, or a slow way to the lead, loses packets of captures, which are counted, and holds up nothing.
"""

from __future__ import annotations

import asyncio
import os
import select
from collections import deque
from contextlib import suppress
from math import inf

from emulator.runtime.capture.writer import pipe
from emulator.runtime.cluster.captured import InOrder
from emulator.runtime.control.remote import Connection, Kind

READ_BYTES = 1 << 19
MOST_WAITING = 64 << 20  # bytes of a capture that its reader has not taken
PATIENCE_S = 2.0
SEND_S = 0.02  # for the lead to take something


class HostTees:
    """The pipes of a host's relay."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._pipes: dict[int, int] = {}

    def open(self, capture: int) -> int:
        """A pipe for the capture; returns its write end, for the relay."""
        read_end, write_end = pipe()
        os.set_blocking(read_end, False)
        self._pipes[capture] = read_end
        self.resume()
        return write_end

    def resume(self) -> None:
        """Read, unless the connection is busy: then the pipes fill, and the relay counts what has no room."""
        if self._connection.busy:
            return
        for capture, read_end in self._pipes.items():
            asyncio.get_running_loop().add_reader(read_end, self._read, capture)

    def pass_on(self) -> None:
        """Send some of what is in the pipes, as far as the connection takes it; outside of the event loop."""
        for capture in list(self._pipes):
            while self._connection.drain(SEND_S) and self._read(capture):
                pass

    def drain(self) -> None:
        """Send what is left in the pipes: the relay has ended."""
        for capture in list(self._pipes):
            while self._read(capture):
                pass

    def _read(self, capture: int) -> bool:
        """Send on some of a capture; whether there may be more."""
        read_end = self._pipes.get(capture)
        if read_end is None:
            return False
        try:
            data = os.read(read_end, READ_BYTES)
        except BlockingIOError:
            return False
        self._connection.send(Kind.CAPTURE, capture, data)
        if self._connection.busy:
            for each in self._pipes.values():
                asyncio.get_running_loop().remove_reader(each)
        if not data:
            del self._pipes[capture]
            asyncio.get_running_loop().remove_reader(read_end)
            os.close(read_end)
        return bool(data)


class LeadTee:
    """A capture of all hosts on its way into a descriptor, which it owns. ValueError where a host sends no batches."""

    def __init__(self, fd: int, hosts: int) -> None:
        os.set_blocking(fd, False)
        self._fd = fd
        self._in_order = InOrder(hosts)
        self._waiting: deque[tuple[memoryview, int]] = deque()  # with how many packets each is
        self._bytes = 0
        self._writing = False
        self.lost = 0  # packets for which there was no room, or of which only a part has come

    def feed(self, host: int, data: bytes, now_s: float) -> None:
        """Bytes from a host, at a scenario time; b"": its part has ended."""
        if self._fd >= 0:
            self._in_order.feed(host, data)
            self._pass_on(now_s)

    def sign(self, host: int, t_s: float, now_s: float) -> None:
        """The host's relay was there at `t_s`."""
        if self._fd >= 0:
            self._in_order.sign(host, t_s)
            self._pass_on(now_s)

    @property
    def closed(self) -> bool:
        return self._fd < 0

    def finish(self) -> None:
        """Write what waits, as long as a reader takes something within PATIENCE_S, and close."""
        if self._fd >= 0:
            self._pass_on(inf)
            self._unwatch()
            poll = select.poll()
            poll.register(self._fd, select.POLLOUT)
            with suppress(OSError):
                while self._waiting and poll.poll(PATIENCE_S * 1e3):
                    self._take(os.write(self._fd, self._waiting[0][0]))
            self.lost += sum(packets for _, packets in self._waiting) + self._in_order.torn
        self.close()

    def close(self) -> None:
        if self._fd >= 0:
            self._unwatch()
            os.close(self._fd)
            self._fd = -1

    def _pass_on(self, now_s: float) -> None:
        batch, packets = self._in_order.take(now_s, self.lost)
        if self._bytes + len(batch) > MOST_WAITING:
            self.lost += packets
        elif batch:
            self._waiting.append((memoryview(batch), packets))
            self._bytes += len(batch)
        self._write()

    def _write(self) -> None:
        try:
            while self._waiting:
                self._take(os.write(self._fd, self._waiting[0][0]))
        except BlockingIOError:
            if not self._writing:
                asyncio.get_running_loop().add_writer(self._fd, self._write)
                self._writing = True
            return
        except OSError:  # the reader has gone
            self.close()
            return
        self._unwatch()
        if self._in_order.ended:
            self.close()

    def _take(self, count: int) -> None:
        batch, packets = self._waiting.popleft()
        self._bytes -= count
        if count < len(batch):
            self._waiting.appendleft((batch[count:], packets))

    def _unwatch(self) -> None:
        if self._writing:
            asyncio.get_running_loop().remove_writer(self._fd)
            self._writing = False

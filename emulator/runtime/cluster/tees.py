"""Captures across hosts: what each host's relay writes into a pipe comes to the lead, which writes it on.

Invariant: a reader gets whole batches only, of one host behind those of another. One that does not read, or a slow way
to the lead, loses packets of captures, which are counted, and holds up nothing.
"""

from __future__ import annotations

import asyncio
import os
import select
from collections import deque
from contextlib import suppress

from emulator.link.taps import HEAD, ROW_BYTES
from emulator.runtime.capture.writer import pipe
from emulator.runtime.control.remote import Connection, Kind

READ_BYTES = 1 << 19
MOST_WAITING = 64 << 20  # bytes of a capture that its reader has not taken
PATIENCE_S = 2.0


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


class Batchwise:
    """Cuts a stream of captured packets where a batch ends."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> tuple[bytes, int]:
        """The whole batches that are there now, and how many packets they hold."""
        self._rest += data
        at = packets = 0
        while at + HEAD.size <= len(self._rest):
            _magic, count, size, _lost = HEAD.unpack_from(self._rest, at)
            after = at + HEAD.size + count * ROW_BYTES + size
            if after > len(self._rest):
                break
            at, packets = after, packets + count
        whole = bytes(self._rest[:at])
        del self._rest[:at]
        return whole, packets


class LeadTee:
    """A capture of all hosts on its way into a descriptor, which it owns."""

    def __init__(self, fd: int, hosts: int) -> None:
        os.set_blocking(fd, False)
        self._fd = fd
        self._hosts = hosts
        self._parts = [Batchwise() for _ in range(hosts)]
        self._ended = 0
        self._waiting: deque[memoryview] = deque()
        self._bytes = 0
        self._writing = False
        self.lost = 0  # packets for which there was no room

    def feed(self, host: int, data: bytes) -> None:
        """Bytes from a host; b"": its part has ended."""
        if self._fd < 0:
            return
        if not data:
            self._ended += 1
            if self._ended == self._hosts and not self._waiting:
                self.close()
            return
        whole, packets = self._parts[host].feed(data)
        if self._bytes + len(whole) > MOST_WAITING:
            self.lost += packets
        elif whole:
            self._waiting.append(memoryview(whole))
            self._bytes += len(whole)
            self._write()

    def finish(self) -> None:
        """Write what waits, as long as a reader takes something within PATIENCE_S, and close."""
        if self._fd >= 0:
            self._unwatch()
            poll = select.poll()
            poll.register(self._fd, select.POLLOUT)
            with suppress(OSError):
                while self._waiting and poll.poll(PATIENCE_S * 1e3):
                    self._take(os.write(self._fd, self._waiting[0]))
        self.close()

    def close(self) -> None:
        if self._fd >= 0:
            self._unwatch()
            os.close(self._fd)
            self._fd = -1

    def _write(self) -> None:
        try:
            while self._waiting:
                self._take(os.write(self._fd, self._waiting[0]))
        except BlockingIOError:
            if not self._writing:
                asyncio.get_running_loop().add_writer(self._fd, self._write)
                self._writing = True
            return
        except OSError:  # the reader has gone
            self.close()
            return
        self._unwatch()
        if self._ended == self._hosts:
            self.close()

    def _take(self, count: int) -> None:
        self._bytes -= count
        rest = self._waiting[0][count:]
        if rest:
            self._waiting[0] = rest
        else:
            self._waiting.popleft()

    def _unwatch(self) -> None:
        if self._writing:
            asyncio.get_running_loop().remove_writer(self._fd)
            self._writing = False

"""Capturing into the run folder: a process that makes capture.pcapng of what the relay tees.

Invariant: a disk or a writer that is too slow costs packets of the capture, which are counted, and never the run.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from emulator.runtime.channel import Channel
from emulator.runtime.child import Child

if TYPE_CHECKING:
    from emulator.network import Network
    from emulator.record.folder import RunFolder

PIPE_BYTES = 1 << 20
READ_BYTES = 1 << 18
PATIENCE_S = 10.0


def pipe() -> tuple[int, int]:
    """A pipe with as much room as the kernel gives, close-on-exec: read end, write end."""
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    try:
        fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    except OSError:  # beyond this user's share: the default will do
        pass
    return read_end, write_end


class CaptureWriter:
    """The writing process. Forked before play; `start` gives it the time of day of scenario time 0."""

    def __init__(
        self, folder: RunFolder, network: Network, ends: Iterable[int], snaplen: int, max_bytes: float,
        close: list[int], comment: str = "",
    ) -> None:  # fmt: skip
        self.ends = list(ends)
        self.snaplen = snaplen
        self._folder = folder
        self._comment = comment
        self._read_end, self.write_end = pipe()
        self._channel, theirs = Channel.pair()
        self._child = Child(
            "capture writer",
            lambda: self._write(network, max_bytes, theirs),
            close=[*close, self.write_end, self._channel.fileno()],
        )
        theirs.close()
        os.close(self._read_end)

    def start(self, t0_utc_ns: int) -> None:
        """Packets are going to come; `t0_utc_ns` is the time of day of scenario time 0."""
        self._channel.send({"t0_utc_ns": t0_utc_ns})
        os.close(self.write_end)  # the relay has its own
        self.write_end = -1

    def finish(self, missed: int = 0) -> None:
        """The relay has closed its end: wait until all is on disk, and take over the writer's warnings.

        `missed` is the relay's own count of packets that the pipe had no room for.
        """
        if self.write_end >= 0:
            os.close(self.write_end)
            self.write_end = -1
            self._channel.send({"t0_utc_ns": 0})
        try:
            self._channel.send({"missed": missed})
        except OSError:  # it has died, as `receive` will tell
            pass
        self._channel.socket.settimeout(PATIENCE_S)
        try:
            message, _ = self._channel.receive()
        except TimeoutError:
            message = None
        if message is None:
            self._folder.warn("capture.pcapng may be incomplete: its writer did not finish")
            self._child.kill()
            return
        for text in message["warnings"]:
            self._folder.warn(text)
        self._child.wait(1.0)

    def _write(self, network: Network, max_bytes: float, channel: Channel) -> None:
        """In the process of its own."""
        from emulator.record.capture import CaptureFile, interfaces

        os.setpriority(os.PRIO_PROCESS, 0, 5)
        message, _ = channel.receive()
        if message is None:
            return
        known = len(self._folder.warnings)
        described = interfaces(network, self.ends, self.snaplen)
        file = CaptureFile(self._folder, described, message["t0_utc_ns"], self._comment)
        taken = 0
        while data := os.read(self._read_end, READ_BYTES):
            if taken <= max_bytes:
                file.feed(data)
            elif taken < max_bytes + READ_BYTES:
                self._folder.warn(f"capture.pcapng ended at its size limit of {max_bytes:g} bytes")
            taken += len(data)
        message, _ = channel.receive()
        file.close(missed=message["missed"] if message is not None else 0)
        channel.send({"warnings": self._folder.warnings[known:]})

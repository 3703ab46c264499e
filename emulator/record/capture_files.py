"""The capture's files in the run folder: one, or one a link, of bounded size, with rotation where asked.

Invariant: whatever ends a capture (its size, its count of packets, a full disk), the files hold whole blocks, the run
goes on, and the reason is told once.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import floor, inf
from pathlib import Path
from typing import TypedDict

from emulator.model.network import Network
from emulator.record.capture import CaptureConverter, PacketFilter
from emulator.record.folder import RunFolder, file_name, reason
from emulator.record.pcapng import Interface
from emulator.record.section import Section

FOLDER = "capture"  # of the files where there is one a link
MOST_FILES_SHOWN = 20


class CaptureRow(TypedDict, total=False):
    """Where the run's own capture stands, for eyes."""

    files: list[str]
    packets: int
    bytes: int
    missed: int  # packets that the capture was too slow for
    ended: str  # why it ended before the run, or ""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a capture may write, and when a new file begins."""

    max_bytes: float = inf  # of all files that are there
    max_packets: int | None = None
    rotate_bytes: float = inf  # size at which the next file begins
    rotate_s: float = inf  # scenario time after which the next file begins
    keep: int = 5  # newest files kept of each link (or of the run), where there are several


class CaptureFile:
    """An output that writes into one file after another: `path`, or with rotation path-0001, path-0002, …"""

    def __init__(self, files: CaptureFiles, path: Path, limits: Limits) -> None:
        self._files = files
        self._path = path
        self._limits = limits
        self.rotates = min(limits.rotate_bytes, limits.rotate_s) < inf
        self._kept: deque[tuple[Path, int]] = deque()  # finished files and their bytes
        self._number = 0
        self._slice = 0  # of scenario time
        self._bytes = 0
        self._fd = -1
        self._open()

    @property
    def paths(self) -> list[Path]:
        """The files that are there, oldest first."""
        return [path for path, _ in self._kept] + ([self._now] if self._number else [])

    @property
    def size(self) -> int:
        """Size of the files that are there."""
        return self._bytes + sum(size for _, size in self._kept)

    def _open(self) -> None:
        self._number += 1
        name = f"{self._path.stem}-{self._number:04d}{self._path.suffix}" if self.rotates else self._path.name
        self._now = self._path.with_name(name)
        self._bytes = 0
        self._head_bytes = 0  # names, interfaces and keys: many of them must not make a file a packet
        try:
            self._now.parent.mkdir(exist_ok=True)
            self._fd = os.open(self._now, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except OSError as error:
            self._files.stop(f"{self._now.name} stopped: {reason(error)}; the run goes on without")

    def due(self, left_s: float, unwritten_bytes: int) -> bool:
        """Whether the file is full, or its time over."""
        if left_s >= (self._slice + 1) * self._limits.rotate_s:
            self._slice = floor(left_s / self._limits.rotate_s)
            return True
        return self._bytes - self._head_bytes + unwritten_bytes >= self._limits.rotate_bytes

    def turn(self) -> None:
        """Go on to the next file; of the old ones only the newest stay."""
        if self._files.ended:
            return
        self.close()
        self._kept.append((self._now, self._bytes))
        while len(self._kept) >= self._limits.keep:
            with suppress(OSError):
                self._kept.popleft()[0].unlink()
        self._open()

    def write(self, data: bytes) -> None:
        """Append whole blocks, unless the capture has ended."""
        if self._fd < 0 or (self._files.ended and not self._files.closing):
            return
        view = memoryview(data)
        sent = 0
        try:
            while sent < len(view):
                sent += os.write(self._fd, view[sent:])
        except OSError as error:
            self._files.stop(f"{self._now.name} stopped: {reason(error)}; the run goes on without")
            with suppress(OSError):
                os.ftruncate(self._fd, self._bytes)
            self.close()
        else:
            self._head_bytes = self._head_bytes or sent
            self._bytes += sent

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class CaptureFiles:
    """A run's own capture: `capture.pcapng`, or `capture/<link>.pcapng` each where `per_link`."""

    def __init__(
        self,
        folder: RunFolder,
        network: Network,
        described: Mapping[int, Interface],
        t0_utc_ns: int,
        comment: str = "",
        *,
        names: Mapping[bytes, str] | None = None,
        per_link: bool = False,
        limits: Limits | None = None,
        keep: PacketFilter | None = None,
    ) -> None:
        self.ended = ""  # why it ended before the run
        self.closing = False
        self._folder = folder
        self._limits = limits or Limits()
        self._outputs: list[CaptureFile] = []
        shared = None if per_link else self._output("capture.pcapng")
        sections: dict[int, Section] = {}
        for end in described:
            key = end // 2 if per_link else -1
            if key not in sections:
                output = shared or self._output(f"{FOLDER}/{file_name(network.links[key].name)}.pcapng")
                ours = {each: found for each, found in described.items() if not per_link or each // 2 == key}
                sections[key] = Section(output, ours, t0_utc_ns, comment, names)
        self.converter = CaptureConverter(
            described, lambda end: sections[end // 2 if per_link else -1], keep, self._limits.max_packets
        )

    def _output(self, name: str) -> CaptureFile:
        self._outputs.append(CaptureFile(self, self._folder.path / name, self._limits))
        return self._outputs[-1]

    def stop(self, why: str) -> None:
        """End the capture; the run goes on without."""
        if not self.ended:
            self.ended = why
            self._folder.warn(why)

    def feed(self, data: bytes) -> None:
        """Take bytes of the tee."""
        if self.ended:
            return
        self.converter.feed(data)
        if self.converter.full:
            self.stop(f"the capture ended at its limit of {self._limits.max_packets} packets")
        elif sum(output.size for output in self._outputs) >= self._limits.max_bytes:
            self.stop(f"the capture ended at its size limit of {self._limits.max_bytes:g} bytes")

    def secrets(self, key_log: bytes) -> None:
        """Keys for what follows."""
        if key_log and not self.ended:
            self.converter.secrets(key_log)

    def row(self) -> CaptureRow:
        """Where it stands."""
        paths = [str(path.relative_to(self._folder.path)) for output in self._outputs for path in output.paths]
        return {
            "files": paths[-MOST_FILES_SHOWN:],
            "packets": self.converter.packets,
            "bytes": sum(output.size for output in self._outputs),
            "missed": self.converter.missed,
            "ended": self.ended,
        }

    def close(self, missed: int = 0) -> None:
        """Write the statistics and close; warns where packets are missing."""
        self.closing = True
        self.converter.finish(missed)
        if self.converter.missed:
            self._folder.warn(f"capture: {self.converter.missed} packets are missing, the capture was too slow")
        for output in self._outputs:
            output.close()

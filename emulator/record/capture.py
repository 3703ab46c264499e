"""From the relay's capture records to pcapng: as a stream for a live reader, or as capture.pcapng of the run folder.

Invariant: the output always ends at the end of a block, so that it can be opened at any moment; what the tee or a full
disk left out is counted in the output or in a warning.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from emulator.link.capture import consumed, records
from emulator.link.stats import EndStats
from emulator.network import Network
from emulator.record.folder import RunFolder, reason
from emulator.record.pcapng import LINKTYPE_ETHERNET, LINKTYPE_RAW, Interface, PcapngWriter

DROPPED = {
    EndStats.DROP_QUEUE: "dropped: queue full",
    EndStats.DROP_LOSS: "dropped: random loss",
    EndStats.DROP_OUTAGE: "dropped: link down",
    EndStats.DROP_OVERLOAD: "dropped: relay or receiving port overloaded",
    EndStats.DROP_NOROUTE: "dropped: no route at the far end",
    EndStats.DROP_TTL: "dropped: hop limit reached at the far end",
}


def interfaces(network: Network, ends: Iterable[int], snaplen: int = 0) -> dict[int, Interface]:
    """How each link end appears in a capture: "gs-tokyo:up", described as "gs-tokyo -> sat-0312"."""
    described = {}
    for end in ends:
        link = network.links[end // 2]
        far = network.nodes[link.b].name
        sides = [network.nodes[link.a].name, f"satellite in view (first {far})" if link.moving else far]
        described[end] = Interface(
            network.end_name(end),
            " -> ".join(reversed(sides) if end % 2 else sides),
            LINKTYPE_ETHERNET if link.ethernet else LINKTYPE_RAW,
            snaplen,
        )
    return described


class CaptureConverter:
    """Turns the bytes of one tee into pcapng. `t0_utc_ns` is the wall-clock time of scenario time 0."""

    def __init__(
        self, write: Callable[[bytes], object], described: Mapping[int, Interface], t0_utc_ns: int, comment: str = ""
    ) -> None:
        self.packets = 0
        self.dropped = 0  # of them, by the links
        self.missed = 0  # packets that the tee had to leave out
        self._out = write
        self._blocks: list[bytes] = []
        self._writer = PcapngWriter(self._blocks.append, comment=comment, application="skyloom", os="Linux")
        self._number = {end: self._writer.interface(interface) for end, interface in described.items()}
        self._received = dict.fromkeys(described, 0)
        self._lost = dict.fromkeys(described, 0)
        self._t0_ns = t0_utc_ns
        self._last_ns = 0
        self._rest = b""
        self._flush()

    def feed(self, data: bytes) -> None:
        """Convert what has come from the tee; cut records wait for their rest. OSError comes from `write`."""
        stream = self._rest + data
        for record in records(stream):
            number = self._number.get(record.end)
            if number is None:
                continue  # another capture's end; the relay does not send these
            comment = DROPPED.get(EndStats(record.cause), "") if record.cause else ""
            if record.lost > self.missed:
                missing = f"packets missing before this one: {record.lost - self.missed}"
                comment = f"{missing}; {comment}" if comment else missing
                self.missed = record.lost
            self.packets += 1
            self.dropped += bool(record.cause)
            self._received[record.end] += 1
            self._lost[record.end] += bool(record.cause)
            self._last_ns = max(self._last_ns, record.left_ns)
            self._writer.packet(number, self._t0_ns + record.left_ns, record.data, record.original, comment)
        self._rest = stream[consumed(stream) :]
        self._flush()

    def secrets(self, key_log: bytes) -> None:
        """Embed TLS keys (SSLKEYLOGFILE lines) for what follows."""
        self._writer.secrets(key_log)
        self._flush()

    def finish(self, missed: int = 0) -> None:
        """Write the statistics of each interface. `missed` is the tee's own final count."""
        self.missed = max(self.missed, missed)
        alone = self.missed if len(self._number) == 1 else 0 if not self.missed else None
        for end, number in self._number.items():
            self._writer.statistics(
                number, self._t0_ns, self._t0_ns + self._last_ns, self._received[end], self._lost[end], alone
            )
        self._flush()

    def _flush(self) -> None:
        if self._blocks:
            data = b"".join(self._blocks)
            self._blocks.clear()
            self._out(data)


class CaptureFile:
    """capture.pcapng. A full disk ends the capture with a warning and leaves a file of whole blocks."""

    def __init__(
        self,
        folder: RunFolder,
        described: Mapping[int, Interface],
        t0_utc_ns: int,
        comment: str = "",
        name: str = "capture.pcapng",
    ) -> None:
        self.path: Path = folder.path / name
        self.stopped = ""
        self._warn = folder.warn
        self._fd = -1
        self._whole_bytes = 0
        try:
            self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except OSError as error:
            self._stop(error)
        self.converter = CaptureConverter(self._write, described, t0_utc_ns, comment)

    def feed(self, data: bytes) -> None:
        """Take bytes of the tee."""
        if not self.stopped:
            self.converter.feed(data)

    def close(self, missed: int = 0) -> None:
        """Write the statistics and close; warns where packets are missing."""
        if not self.stopped:
            self.converter.finish(missed)
        if self.converter.missed:
            self._warn(f"{self.path.name}: {self.converter.missed} packets are missing, the capture was too slow")
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _write(self, data: bytes) -> None:
        if self.stopped:
            return
        view = memoryview(data)
        sent = 0
        try:
            while sent < len(view):
                sent += os.write(self._fd, view[sent:])
        except OSError as error:
            self._stop(error)
        else:
            self._whole_bytes += sent

    def _stop(self, error: OSError) -> None:
        self.stopped = reason(error)
        self._warn(f"{self.path.name} stopped: {self.stopped}; the run goes on without")
        if self._fd >= 0:
            with suppress(OSError):
                os.ftruncate(self._fd, self._whole_bytes)
            os.close(self._fd)
            self._fd = -1

"""Converts the relay's capture records to pcapng.

Invariant: the output always ends at the end of a block, so that it can be opened at any moment; what the tap, a limit
or a full disk left out is counted in the output or in a warning.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from emulator.link.packet import NEEDS_CSUM, VIRTIO, completed
from emulator.link.stats import EndStats
from emulator.link.taps import Batch, Batches
from emulator.record.bulk_convert import packets, stretches
from emulator.record.packet_comments import InterfaceTimeline
from emulator.record.pcapng import Interface
from emulator.record.section import Section

DROPPED = {
    EndStats.DROP_QUEUE: "dropped: queue full",
    EndStats.DROP_LOSS: "dropped: random loss",
    EndStats.DROP_OUTAGE: "dropped: link down",
    EndStats.DROP_OVERLOAD: "dropped: relay or receiving port overloaded",
    EndStats.DROP_NOROUTE: "dropped: no route at the far end",
    EndStats.DROP_TTL: "dropped: hop limit reached at the far end",
}
_DROPPED = {int(cause): text for cause, text in DROPPED.items()}

PacketFilter = Callable[[int, Interface, bytes], bool]  # link end, its interface, packet without virtio header


class Stream:
    """An output without files: every block goes to `write`, as to a pipe. OSError comes from there."""

    rotates = False

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write

    def write(self, data: bytes) -> None:
        self._write(data)

    def due(self, left_s: float, unwritten_bytes: int) -> bool:
        """A stream has no end."""
        return False

    def turn(self) -> None:
        """There is nothing to turn to."""


class CaptureConverter:
    """Turns the bytes of one tap into pcapng, in the section of each link end.

    `wanted` says which packets are written (None: all); `most` how many of them at most.
    """

    def __init__(
        self,
        described: Mapping[int, Interface],
        section_of: Callable[[int], Section],
        keep: PacketFilter | None = None,
        most: int | None = None,
    ) -> None:
        self.packets = 0  # written
        self.dropped = 0  # of them, by the links
        self.missed = 0  # packets that the tee had to leave out
        self._timelines = {end: (InterfaceTimeline(interface), section_of(end)) for end, interface in described.items()}
        self.sections = list(dict.fromkeys(section for _, section in self._timelines.values()))
        self._keep = keep
        self._most = most
        self._batches = Batches()

    @property
    def full(self) -> bool:
        """Whether `most` packets have been written."""
        return self._most is not None and self.packets >= self._most

    def happens(self, end: int, t_s: float, text: str, interface: Interface | None = None) -> None:
        """A remark on a link end, and what it is called from then on. Ends that are not captured are passed over."""
        if end in self._timelines:
            timeline, section = self._timelines[end]
            if interface is not None:
                section.describe(end, interface)
            timeline.happens(t_s, text, interface)

    def feed(self, data: bytes) -> None:
        """Convert what has come from the tee; a cut batch waits for its rest. OSError comes from the output."""
        for batch in self._batches.feed(data):
            after = 0
            for begin, end, alike in stretches(batch.mark, batch.captured, batch.original):
                at, after = after, after + sum(batch.captured[begin:end])
                part = batch.part(begin, end, at, after)
                if not alike or not self._all_at_once(part):
                    self._one_by_one(part)
        for section in self.sections:
            section.flush()

    def _all_at_once(self, batch: Batch) -> bool:
        """Packets of one link end, fate and size; False: nothing was done, there is something to say or to choose."""
        known = self._timelines.get(batch.mark[0] >> 8)
        if known is None or self._keep or self._most is not None or batch.mark[0] & 255 or batch.lost > self.missed:
            return False
        timeline, section = known
        left_s = np.frombuffer(batch.left_s)
        if section.rotates or left_s.min() < timeline.since_s or left_s.max() >= timeline.until_s:
            return False
        original = batch.original[0]
        rows = packets(batch.body, len(left_s), batch.captured[0] == original)
        if rows is None:
            return False
        self.packets += len(rows)
        section.packets(timeline.interface, left_s, rows, original - VIRTIO)
        return True

    def _one_by_one(self, batch: Batch) -> None:
        courses, keep, most = self._timelines, self._keep, self._most
        lost, left, marks, captures, originals, body = batch
        after = 0
        for left_s, mark, captured, original in zip(left, marks, captures, originals, strict=True):
            at, after = after, after + captured
            known = courses.get(mark >> 8)
            if known is None or (most is not None and self.packets >= most):
                continue
            timeline, section = known
            interface, comment = timeline.interface, ""
            if not timeline.since_s <= left_s < timeline.until_s:
                interface, comment = timeline.at(left_s)
            if body[at] & NEEDS_CSUM and captured == original:
                packet = completed(bytes(body[at:after]))[VIRTIO:]
            else:
                packet = bytes(body[at + VIRTIO : after])
            if keep is not None and not keep(mark >> 8, interface, packet):
                if comment:
                    timeline.keep(comment)
                continue
            cause = mark & 255
            if cause or lost > self.missed or comment:
                comment = self._comment(cause, lost, comment)
            self.packets += 1
            section.packet(interface, left_s, packet, original - VIRTIO, comment, cause != 0)

    def _comment(self, cause: int, lost: int, remarks: str) -> str:
        words = [remarks] if remarks else []
        if lost > self.missed:
            words.insert(0, f"packets missing before this one: {lost - self.missed}")
            self.missed = lost
        if cause:
            words.append(_DROPPED.get(cause, "dropped"))
            self.dropped += 1
        return "; ".join(words)

    def secrets(self, key_log: bytes) -> None:
        """Embed TLS keys (SSLKEYLOGFILE lines) for what follows."""
        for section in self.sections:
            section.secrets(key_log)

    def finish(self, missed: int = 0) -> None:
        """Write the statistics of each interface. `missed` is the tee's own final count."""
        self.missed = max(self.missed, missed)
        alone = self.missed if len(self._timelines) == 1 else None if self.missed else 0
        for section in self.sections:
            section.finish(alone)

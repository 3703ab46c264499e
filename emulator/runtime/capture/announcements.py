"""What the run tells a capture in another terminal: names of its link ends, handovers that rename them, and actions.

Invariant: a capture hears a name before the first packet that needs it, as far ahead of play as rows are planned.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from emulator.runtime.capture.handovers import UpcomingHandovers
from emulator.runtime.capture.writer import renamed
from emulator.runtime.control.messages import AddressNames, CaptureNews, Interfaces, Remarks, Renamed
from emulator.runtime.control.transport import parts
from emulator.schedule.reader import ScheduleReader

if TYPE_CHECKING:
    from emulator.model.network import Network
    from emulator.record.pcapng import Interface
    from emulator.schedule.reader import RowSource


class Announcements:
    """Messages for one capture of link ends that begins at scenario time `now_s`."""

    def __init__(
        self, network: Network, rows: RowSource | None, ends: Sequence[int], snaplen: int, now_s: float
    ) -> None:
        self._network = network
        self._ends = ends
        self._snaplen = snaplen
        self._handovers = UpcomingHandovers(network, rows, ends, ScheduleReader(network, rows).step_at(now_s))
        self._remarks: list[tuple[float, int, str]] = []

    def act(self, t_s: float, action: Mapping[str, Any]) -> None:
        """Something was done to the network."""
        from emulator.record.packet_comments import concerned, fault

        self._remarks += [(t_s, end, fault(action, t_s)) for end in concerned(self._network, action, self._ends)]

    def first(self, most: int) -> Iterator[Interfaces | AddressNames]:
        """How the link ends are called at first, and what their addresses are called; `most` rows a message."""
        from emulator.record.packet_comments import interface, names

        far = self._handovers.far
        rows = [_row(end, interface(self._network, end, far.get(end // 2), self._snaplen)) for end in self._ends]
        yield from map(Interfaces, parts(rows, most))
        yield from map(AddressNames, parts(names(self._network).items(), most))

    def news(self, most: int) -> Iterator[CaptureNews]:
        """Changes of names, and remarks, since the last time."""
        handovers = [
            (handover.t_s, text, *_row(end, face))
            for handover in self._handovers.news()
            for end, face, text in renamed(self._network, handover, self._ends, self._snaplen)
        ]
        remarks, self._remarks = self._remarks, []
        yield from map(Renamed, parts(handovers, most))
        yield from map(Remarks, parts(remarks, most))


def _row(end: int, face: Interface) -> tuple[int, str, str, int, int]:
    return end, face.name, face.description, face.linktype, face.snaplen

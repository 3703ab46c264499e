"""Decisions on single packets, where both runs captured all that a link end sent: was the n-th packet lost?

Invariant: packets that a queue or an outage dropped are left out, as they never reach an effect; a capture that missed
packets, or that keeps some of them only, is not compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from emulator.model.errors import DataError
from emulator.record.packets import files, headers, read
from emulator.record.replayed.constants import Constants
from emulator.record.replayed.finding import Finding

if TYPE_CHECKING:
    from pathlib import Path

    from emulator.model.network import Network
    from emulator.record.load import Run

MOST_PACKETS = 300_000  # of a run that are read
LOST, DROPPED = "dropped: random loss", "dropped: "


class Departure(NamedTuple):
    """A packet that left an end, or was lost there."""

    packet: str  # who sends what to whom, and its size
    lost: bool


def captured(first: Run, second: Run, network: Network, constants: Constants) -> list[Finding]:
    """What can be said of each link end that both runs captured."""
    runs = (first, second)
    why = next((partial_reason for run in runs if (partial_reason := _partial(run))), "")
    if not all(files(run.path) for run in runs):
        return []
    if why:
        return [Finding("captured packets", "", 0, 0, why)]
    found = [_departures(run.path) for run in runs]
    names = [network.end_name(end) for end in range(2 * len(network.links))]
    return [
        _compared(name, found[0][name], found[1][name], constants.of(end).loss_all_along)
        for end, name in enumerate(names)
        if all(name in of_run for of_run in found)
    ]


def _partial(run: Run) -> str:
    """Why the n-th packet of a capture is not the n-th of its end; "" where it is."""
    capture = run.document.get("capture") or {}
    if capture.get("filter") or capture.get("rotate"):
        return "a capture with a filter or rotated files has some of the packets only"
    if run.verdict and run.verdict.capture.get("missed"):
        return "a capture missed packets"
    return ""


def _compared(end: str, first: list[Departure], second: list[Departure], constant: bool) -> Finding:
    both = list(zip(first, second, strict=False))
    place = next((number for number, (one, other) in enumerate(both) if one.packet != other.packet), None)
    note = ""
    if place is not None:
        one, other = both[place]
        note = f"arrivals equal up to packet {place}; then {one.packet}, and {other.packet}"
    if not constant:
        return Finding("captured packets", end, 0, 0, f"its loss changes over time; {note}".rstrip("; "))
    equal = sum(one.lost == other.lost for one, other in both)
    if equal < len(both):
        bad = next(number for number, (one, other) in enumerate(both, 1) if one.lost != other.lost)
        note = f"packet {bad} is lost in one run only; {note}".rstrip("; ")
    return Finding("captured packets", end, len(both), equal, note)


def _departures(folder: Path) -> dict[str, list[Departure]]:
    """By link end, in the order of leaving; copies of one packet count once."""
    found: dict[str, list[Departure]] = {}
    before: dict[str, tuple[int, bytes]] = {}
    for end, at_ns, data, comment in _packets(folder):
        if DROPPED in comment and LOST not in comment:
            continue
        if before.get(end) == (at_ns, data):
            continue
        before[end] = (at_ns, data)
        head = headers(data)
        flow = f"{head.kind} from {head.source} to {head.destination}" if head else "no IP packet"
        found.setdefault(end, []).append(Departure(f"{flow} of {len(data)} B", LOST in comment))
    return found


def _packets(folder: Path) -> Iterator[tuple[str, int, bytes, str]]:
    """Packets of all files of a run: link end, stamp, content, comment."""
    count = 0
    for path in files(folder):
        try:
            for packet in read(path):
                count += 1
                if count > MOST_PACKETS:
                    return
                yield packet.description.partition(";")[0], packet.at_ns, packet.data, packet.comment
        except OSError as error:
            raise DataError(f"{path}: {error.strerror}") from None

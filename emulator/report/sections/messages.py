"""Messages of a window of time: who sent what to whom, when it arrived or where it was lost.

From the run's captures, where there are any: a packet is recognised at every link end that it crossed, and what its
last link end was asked to delay it is read from links.parquet. Without a capture from samples `owd_s` (one-way delay,
by the time of sending, the receiver as key) and `probe_lost`. Where the capture has not the last link
end, the arrival is that of the scheduled path. Invariant: an arrival of which nothing is known is never drawn.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emulator.model.errors import UsageError
from emulator.model.names import matches
from emulator.model.units import parse
from emulator.record.load import Run
from emulator.record.packets import Captured, files, headers, read

if TYPE_CHECKING:
    from emulator.report.sections.scheduled import ScheduledValues

FLIGHT_S = 10.0  # a packet with equal bytes that is seen later than this is another one
BEFORE_S = 2.0  # so long before a window its packets are read: those under way must not seem to be sent in it
_END = re.compile(r"[^\s,;()]+:[^\s,;()]+")


@dataclass(slots=True)
class Message:
    """One packet or probe. `arrived_s` is None where it is not known or where it was lost."""

    kind: str
    sender: str
    receiver: str
    sent_s: float
    arrived_s: float | None = None
    lost_s: float | None = None
    cause: str = ""
    scheduled: bool = False  # the arrival is that of the scheduled path: no capture has the last link end


@dataclass(frozen=True, slots=True)
class Window:
    """What to draw: [start_s, end_s) of scenario time, and messages between nodes that match a glob (none: all)."""

    start_s: float
    end_s: float
    nodes: tuple[str, ...] = ()

    @staticmethod
    def of(said: str, nodes: Iterable[str] = ()) -> Window:
        """From "10s:10.5s". UsageError where it is none."""
        first, colon, last = said.partition(":")
        try:
            start_s, end_s = parse(first, "duration"), parse(last, "duration")
        except ValueError as error:
            raise UsageError(f"--window {said}: {error}; a window is START:END, such as 10s:10.5s") from None
        if not colon or not start_s < end_s < float("inf"):
            raise UsageError(f"--window {said}: expected START:END with the end after the start, such as 10s:10.5s")
        return Window(start_s, end_s, tuple(nodes))

    def holds(self, message: Message) -> bool:
        """Whether the message is to be drawn: sent inside the window, both nodes chosen."""
        return self.start_s <= message.sent_s < self.end_s and all(
            not self.nodes or matches(self.nodes, name) for name in (message.sender, message.receiver)
        )


def messages(run: Run, window: Window, scheduled: ScheduledValues) -> tuple[list[Message], str]:
    """Those of the window in the order of sending, and where they come from (for the caption)."""
    captures = files(run.path)
    if captures:
        t0_ns = _t0_utc_ns(run)
        span_ns = [t0_ns + round(1e9 * t_s) for t_s in (window.start_s - BEFORE_S, window.end_s + FLIGHT_S)]
        seen = (packet for path in captures for packet in read(path, *span_ns))
        found = list(assembled(sorted(seen, key=lambda packet: packet.at_ns), t0_ns, scheduled.names, Delays(run)))
        said = "packets of the capture; they arrive after the delay asked of their last link end in that second"
    else:
        found = list(probes(run, window))
        said = "probes (there is no capture: run with --capture to see every packet)"
    chosen = sorted(filter(window.holds, found), key=lambda message: message.sent_s)
    for message in chosen:
        if message.arrived_s is None and message.lost_s is None and scheduled.paths is not None:
            delay_s = scheduled.paths.delay_s(message.sender, message.receiver, message.sent_s)
            if delay_s is not None:
                message.arrived_s, message.scheduled = message.sent_s + delay_s, True
    return chosen, said


class Delays:
    """Asked delay of link ends by time, from links.parquet."""

    def __init__(self, run: Run) -> None:
        rows = run.links.drop_nulls("asked_delay_ms").select("end", "t_s", "asked_delay_ms")
        self._by_end: dict[str, tuple[list[float], list[float]]] = {}
        for end, t_s, delay_ms in rows.iter_rows():
            times, delays = self._by_end.setdefault(end, ([], []))
            times.append(t_s)
            delays.append(1e-3 * delay_ms)
        self.ends = set(run.links["end"].unique())

    def at(self, end: str, t_s: float) -> float | None:
        """Mean delay of the interval that `t_s` is in, or of the next that tells one; None where none does."""
        times, delays = self._by_end.get(end, ([], []))
        place = bisect_left(times, t_s)
        return delays[min(place, len(delays) - 1)] if delays else None


def assembled(packets: Sequence[Captured], t0_ns: int, names: dict[str, str], delays: Delays) -> Iterator[Message]:
    """Messages from packets in the order of their stamps: the hops of one packet become one message."""
    flights: dict[bytes, tuple[Message, set[str], float]] = {}
    for packet in packets:
        found = headers(packet.data)
        if found is None:
            continue
        t_s = 1e-9 * (packet.at_ns - t0_ns)
        known = flights.get(found.identity)
        if known is None or packet.interface in known[1] or t_s - known[2] > FLIGHT_S:
            sender, receiver = (names.get(address, address) for address in (found.source, found.destination))
            known = (Message(found.kind, sender, receiver, t_s), set(), t_s)
            flights[found.identity] = known
            yield known[0]
        message, crossed, _ = known
        crossed.add(packet.interface)
        if "dropped" in packet.comment:
            message.lost_s, message.cause = t_s, packet.comment.rpartition("dropped:")[2].partition(";")[0].strip()
            continue
        if _far(packet) == message.receiver:
            delay_s = delays.at(_end(packet, delays.ends), t_s)
            message.arrived_s = None if delay_s is None else t_s + delay_s


def probes(run: Run, window: Window) -> Iterator[Message]:
    """Messages that samples tell of."""
    import polars as pl

    inside = run.samples.filter(
        pl.col("name").is_in(["owd_s", "probe_lost"]) & pl.col("t_s").is_between(window.start_s, window.end_s)
    )
    for row in inside.iter_rows(named=True):
        message = Message("probe", row["node"], row["key"], row["t_s"])
        if row["name"] == "owd_s":
            message.arrived_s = row["t_s"] + row["value"]
        else:
            message.lost_s, message.cause = row["t_s"], "no answer"
        yield message


def _far(packet: Captured) -> str:
    """The node that a link end leads to: "a -> b" stands in its name or its description."""
    for words in (packet.interface, packet.description):
        _, arrow, far = words.partition(" -> ")
        if arrow:
            return far.partition(" ")[0]
    return ""


def _end(packet: Captured, ends: set[str]) -> str:
    """The link end's own name, "node:port", as links.parquet has it."""
    words: list[str] = [packet.interface, *_END.findall(packet.description)]
    return next((word for word in words if word in ends), packet.interface)


def _t0_utc_ns(run: Run) -> int:
    import json

    import polars as pl

    played = run.own_events.filter(pl.col("kind") == "play")["data"]
    facts: dict[str, Any] = json.loads(played[0]) if len(played) else {}
    return int(facts.get("t0_utc_ns", 0))

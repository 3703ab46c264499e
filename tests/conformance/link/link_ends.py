"""One link end behind one interface: the model in Python (`oracle.link_end.LinkEnd`) or the compiled engine.

Both take items (time, packet, bytes on the wire, destination, hops left, unused) and give packets, merged ones as a
tuple of their segments. A test names the kind; all else about the end is said once, in a `Setting`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import Any

import numpy as np
from oracle.link_end import LinkEnd
from oracle.packet_bytes import ETHERNET, VIRTIO
from oracle.packets import Departure, Packet, segments
from oracle.schedule import Schedule

from emulator.link.engine.engine import Delivery, Engine
from emulator.link.engine.tables import memory_ports
from emulator.link.taps import Batches
from emulator.model.network import (
    Effects,
    EndSpec,
    LinkSpec,
    Network,
    NodeSpec,
    PiecewiseSchedule,
    ScheduleRow,
    SubstepSpec,
)
from emulator.schedule.ring import RowRing

KINDS = ("oracle", "engine")
FAR = 1  # node at the far end; a moving link also leads to those behind it
END = 0
SNAPLEN, TAP_BYTES = 1 << 17, 1 << 24


@dataclass(frozen=True)
class Timeline:
    step_s: float
    rates: None = None
    substep: SubstepSpec | None = None


@dataclass(frozen=True)
class Setting:
    """What a link end is to be. It follows `knots`, or else `rows`; with `moving` the rows say who receives."""

    knots: PiecewiseSchedule | None = None
    effects: Effects = field(default_factory=Effects)
    name: str = "a:b"
    seed: int = 0
    ethernet: bool = False
    rows: tuple[dict[str, Any], ...] = ()  # of each step: delay_s (or delay_start_s, delay_end_s), rate_bps, …, peer
    step_s: float = 1.0
    substep: SubstepSpec | None = None
    moving: bool = False
    transit: bool = False  # the sender is a transit node: leaving costs a hop
    nodes: int = 2

    def network(self) -> Network:
        node, port = self.name.split(":")
        names = [node, *(f"n{number}" for number in range(1, self.nodes))]
        moving = self.moving
        nodes = tuple(
            NodeSpec(name, "node", number > 0 or not self.transit, f"10.0.0.{number + 1}", forwards=moving,
                     shared_downlink=moving)
            for number, name in enumerate(names)
        )  # fmt: skip
        back = EndSpec(schedule=None if self.rows else PiecewiseSchedule.constant())
        there = EndSpec(self.effects, self.knots)
        link = LinkSpec(self.name, 0, FAR, port, "p", there, back, self.moving, self.ethernet)
        return Network(nodes, (link,), Timeline(self.step_s, None, self.substep) if self.rows else None)

    def timeline(self) -> list[ScheduleRow]:
        """The rows; both ends of the link have the same values."""
        live = self.nodes - self.transit
        return [
            ScheduleRow(
                step,
                np.full(2, values.get("delay_start_s", values.get("delay_s", 0.0))),
                np.full(2, values.get("delay_end_s", values.get("delay_s", 0.0))),
                np.full(2, values.get("rate_bps", inf)),
                np.full(2, values.get("loss", 0.0)),
                np.full(2, values.get("up", True)),
                np.array([values.get("peer", FAR), 0], np.int32),
                np.full((live, self.nodes), -1, np.int32),
                substep=values.get("substep"),
            )
            for step, values in enumerate(self.rows)
        ]


class EngineEnd:
    """A link end inside an engine in memory."""

    def __init__(self, setting: Setting, small_slots: int = 1 << 15, large_slots: int = 1 << 10) -> None:
        network = setting.network()
        self._ip = VIRTIO + ETHERNET if setting.ethernet else VIRTIO
        ring = None
        if setting.rows:
            ring = RowRing(2, setting.nodes, len(network.live), max(3, len(setting.rows)), setting.substep)
            for row in setting.timeline():
                ring.put(row)
        self.engine = Engine(
            network, memory_ports(network), ring, setting.seed, small_slots=small_slots, large_slots=large_slots
        )
        self._log: list[Departure] = []
        self._kept = ring
        self.engine.open_tap(0, TAP_BYTES, SNAPLEN)
        self.engine.tap_ends(END, 1, -1.0)

    def offer(self, items: list[tuple[float, bytes, int, int, int, int]]) -> None:
        for t, data, size, dest, hops, _ in items:
            assert self.engine.offer(END, t, data, size, dest, hops), "the engine has no room for a packet"

    def due(self, now: float) -> list[Packet]:
        self.engine.play(now)
        return self._packets(self.engine.take())

    def next_s(self) -> float:
        return self.engine.next_s()

    def set(self, now: float, **values: float | bool | None) -> None:
        self.engine.set(END, now, **values)

    def hold(self, now: float, held: bool) -> None:
        self.engine.hold(END, now, held)

    def settle(self, now: float) -> None:
        """Let leave what has left by now: an engine that nobody asks puts it off."""
        self.engine.tap_ends(END, 1, now)

    def stats(self) -> list[float]:
        return self.engine.stats(END)

    @property
    def queued(self) -> list[Packet]:
        return self._packets(self.engine.queued(END))

    @property
    def in_flight(self) -> list[Packet]:
        return self._packets(self.engine.in_flight(END))

    @property
    def log(self) -> list[Departure]:
        batches = Batches()
        while data := self.engine.drain_tap(0):
            for batch in batches.feed(data):
                assert not batch.lost
                at = 0
                for left_s, mark, captured in zip(batch.left_s, batch.mark, batch.captured, strict=True):
                    assert mark >> 8 == END
                    packet = segments(bytes(batch.body[at : at + captured]), self._ip)
                    self._log.append(Departure(left_s, packet, mark & 255))
                    at += captured
        return self._log

    def _packets(self, found: list[Delivery]) -> list[Packet]:
        return [Packet(one.at_s, segments(one.data, self._ip), one.size, one.dest, one.hops, one.node) for one in found]


class OracleEnd(LinkEnd):
    """The model, with the few things more that tests ask of both."""

    def __init__(self, setting: Setting) -> None:
        schedule = Schedule(setting.network(), setting.timeline())
        ip = VIRTIO + ETHERNET if setting.ethernet else VIRTIO
        super().__init__(lambda t: schedule.at(END, t), setting.effects, setting.seed, setting.name, ip)

    def settle(self, now: float) -> None:
        self.advance(now)


End = OracleEnd | EngineEnd


def make_end(kind: str, setting: Setting, **room: int) -> End:
    return EngineEnd(setting, **room) if kind == "engine" else OracleEnd(setting)


def make(kind: str, knots: PiecewiseSchedule | None = None, effects: Effects | None = None, **constant: Any) -> End:
    """An end that follows knots, or constant values."""
    return make_end(kind, Setting(knots or PiecewiseSchedule.constant(**constant), effects or Effects()))


def table(*rows: tuple[float, ...]) -> PiecewiseSchedule:
    """Knots from rows of (t, delay, rate, loss, up)."""
    t, delay, rate, loss, up = zip(*rows, strict=True)
    return PiecewiseSchedule(*(np.array(column, float) for column in (t, delay, rate, loss)), np.array(up, bool))


def inside(end: End) -> int:
    return len(end.queued) + len(end.in_flight)

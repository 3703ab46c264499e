"""What the schedule says around this moment: of a link end, of the way between two nodes, of who serves whom and where.

Invariant: everything is read from the rows that the relay plays (and the tables of ends that have their own), so what
is shown as asked is what was asked.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from math import floor
from typing import TYPE_CHECKING, NamedTuple

from emulator.observe.snapshot import ContactRow, Place, WorldMap
from emulator.schedule import substep
from emulator.schedule.piecewise import Segment, segment, segment_of_row
from emulator.schedule.ring import fine_columns
from emulator.schedule.routes import path
from emulator.schedule.substep import fine_places

if TYPE_CHECKING:
    from emulator.model.network import Handover, Network, Row
    from emulator.schedule.ring import RowSource

SPANS_KEPT = 24  # of each moving link: a quarter of an hour at the least
CONTACTS = 40  # moving links in a snapshot
SPANS_SHOWN = 12
DOTS = 2_000  # satellites on the map; of more, every second or third
WAYS = 12  # drawn on the map
MAP_EVERY_S = 1.0  # how often satellites are moved on the map


class AskedNow(NamedTuple):
    """What a link end is asked to do at an instant. `peer`: the node that receives, -1 for nobody."""

    delay_s: float
    rate_bps: float
    loss: float
    up: bool
    peer: int


class Outlook:
    """The schedule of one run, for eyes."""

    def __init__(self, network: Network, rows: RowSource | None) -> None:
        self._network = network
        self._rows = rows
        self._step_s = network.timeline.step_s if network.timeline is not None else 1.0
        self._number = {node.name: number for number, node in enumerate(network.nodes)}
        self._index = {network.nodes[node].name: index for index, node in enumerate(network.live)}
        self._fine = fine_places(network)
        self._moving = [number for number, link in enumerate(network.links) if link.moving]
        self._served: dict[int, deque[tuple[float, str]]] = defaultdict(lambda: deque(maxlen=SPANS_KEPT))
        self._mapped_s = float("-inf")
        self._dots: list[int] = []
        self._placed: dict[int, tuple[float, float]] = {}

    def row(self, t_s: float) -> Row | None:
        """The row that holds, or the newest there is; None where the network has no timeline."""
        if self._rows is None or self._rows.latest < 0:
            return None
        for step in (max(0, floor(t_s / self._step_s)), self._rows.latest):
            try:
                return self._rows.row(step)
            except LookupError:  # not yet, or no longer, there
                continue
        return None

    def asked(self, end: int, t_s: float) -> AskedNow:
        """What an end is asked to do now."""
        link, spec = self._network.links[end // 2], self._network.end_spec(end)
        row = self.row(t_s)
        peer = link.a if end % 2 else link.b
        if row is not None and link.moving:
            peer = int(row.peer[end])
        if spec.knots is not None:
            held = segment(spec.knots, max(0.0, t_s))
        elif row is not None:
            held = self._held(row, end, t_s)
        else:
            return AskedNow(0.0, 0.0, 0.0, False, -1)
        at_s = min(max(t_s, held.start_s), held.stop_s)
        return AskedNow(held.delay_s(at_s), held.rate_bps, held.loss, held.up and peer >= 0, peer if held.up else -1)

    def _held(self, row: Row, end: int, t_s: float) -> Segment:
        """What a row asks of an end, by its finer table where it has one."""
        place, finer = self._fine.get(end), None
        if place is not None and row.fine is not None:
            begin_s = row.step * self._step_s
            finer = substep.segment(fine_columns(row.fine), place, begin_s, begin_s + self._step_s, t_s)
        return finer or segment_of_row(row, end, self._step_s)

    def way(self, source: str, target: str, t_s: float) -> list[int]:
        """Nodes from one live node to another along the routes; empty where there is no way, or a kernel knows it."""
        row = self.row(t_s)
        if row is None or source not in self._index or target not in self._index:
            return []
        ends = path(row.next_end, row.peer, self._index[target], self._number[target], self._number[source])
        return [self._number[source], *(int(row.peer[end]) for end in ends)] if ends else []

    # -- contacts ------------------------------------------------------------------------------------------------------

    def handed_over(self, handover: Handover) -> None:
        """A moving link changed its far end."""
        spans = self._served[handover.link]
        if not spans:
            spans.append((0.0, self._name(handover.before)))
        spans.append((handover.t_s, self._name(handover.after)))

    def contacts(self, t_s: float, wanted: Iterable[int] | None = None) -> list[ContactRow]:
        """Who serves each moving link, who did, and who will as far as rows are planned."""
        row = self.row(t_s)
        if row is None:
            return []
        coming = self._coming(row.step)
        until_s = (self._rows.latest + 1 if self._rows is not None else row.step + 1) * self._step_s
        found: list[ContactRow] = []
        for link in list(self._moving if wanted is None else wanted)[:CONTACTS]:
            begins = list(self._served.get(link, ())) or [(0.0, self._name(int(row.peer[2 * link])))]
            begins += coming.get(link, [])
            ends = [*(begin for begin, _ in begins[1:]), until_s]
            spans = [(begin, end, name) for (begin, name), end in zip(begins, ends, strict=True)]
            spec = self._network.links[link]
            found.append({"link": spec.name, "node": self._network.nodes[spec.a].name, "spans": spans[-SPANS_SHOWN:]})
        return found

    def _coming(self, step: int) -> dict[int, list[tuple[float, str]]]:
        """Handovers of the rows that are planned already."""
        coming: dict[int, list[tuple[float, str]]] = defaultdict(list)
        assert self._rows is not None
        for later in range(step + 1, self._rows.latest + 1):
            try:
                handovers = self._rows.row(later).handovers
            except LookupError:
                continue
            for handover in handovers:
                coming[handover.link].append((handover.t_s, self._name(handover.after)))
        return coming

    def _name(self, node: int) -> str:
        return self._network.nodes[node].name if node >= 0 else ""

    # -- the map -------------------------------------------------------------------------------------------------------

    def world(self, t_s: float, pairs: Iterable[tuple[str, str]]) -> WorldMap | None:
        """Where nodes are, and the ways between the pairs; None where nodes have no places."""
        self._move_satellites(t_s)
        places: list[Place] = [
            {"node": node.name, "lat_deg": node.position[0], "lon_deg": node.position[1]}
            for node in self._network.nodes
            if node.position is not None
        ]
        if not places and not self._dots:
            return None
        ways = []
        for source, target in list(pairs)[:WAYS]:
            nodes = self.way(source, target, t_s)
            places_on_way = [place for node in nodes if (place := self._place(node)) is not None]
            if len(places_on_way) > 1:
                ways.append(places_on_way)
        return {"places": places, "satellites": self._dots, "paths": ways}

    def _place(self, node: int) -> tuple[float, float] | None:
        position = self._network.nodes[node].position
        return position if position is not None else self._placed.get(node)

    def _move_satellites(self, t_s: float) -> None:
        """Read the places of moving nodes anew, where the last reading is old."""
        positions = getattr(self._network.timeline, "positions", None)
        if positions is None or 0 <= t_s - self._mapped_s < MAP_EVERY_S:
            return
        self._mapped_s = t_s
        moving = [number for number, node in enumerate(self._network.nodes) if node.position is None]
        shown = moving[:: 1 + len(moving) // DOTS]
        degrees = positions(max(0.0, t_s)).round(1).tolist()
        self._placed = {number: (lat, lon) for number in moving if (lat := degrees[number][0]) == lat
                        and (lon := degrees[number][1]) == lon}  # fmt: skip  # NaN: cannot be placed
        self._dots = [round(value) for number in shown if number in self._placed for value in self._placed[number]]

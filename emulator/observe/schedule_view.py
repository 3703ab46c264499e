"""The schedule around the present time: values of a link end, routes between nodes, contacts, and the map.

Invariant: all values are read from the rows that the relay uses (and the tables of ends with their own), so the
scheduled values that are shown are those that were in force.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from emulator.observe.snapshot import ContactRow, Place, WorldMap
from emulator.schedule.reader import EndValues, ScheduleReader

if TYPE_CHECKING:
    from emulator.model.network import Handover, Network, ScheduleRow
    from emulator.schedule.reader import RowSource

SPANS_KEPT = 24  # of each moving link: at least a quarter of an hour
CONTACTS = 40  # moving links in a snapshot: the first one of each node, then the second ones, …
SPANS_SHOWN = 12
DOTS = 2_000  # satellites on the map; of more, every second or third
WAYS = 12  # routes on the map
MAP_EVERY_S = 1.0  # between two updates of satellites on the map


class ScheduleView:
    """The schedule of one run, for snapshots."""

    def __init__(self, network: Network, rows: RowSource | None) -> None:
        self._network = network
        self.schedule = ScheduleReader(network, rows)
        self._number = {node.name: number for number, node in enumerate(network.nodes)}
        self._moving = _antenna_by_antenna(network)
        self._served: dict[int, deque[tuple[float, str]]] = defaultdict(lambda: deque(maxlen=SPANS_KEPT))
        self._mapped_s = float("-inf")
        self._dots: list[int] = []
        self._placed: dict[int, tuple[float, float]] = {}

    def scheduled(self, end: int, t_s: float) -> EndValues:
        """The scheduled values of an end; down if there is no schedule for it."""
        return self.schedule.values(end, t_s) or EndValues(0.0, 0.0, 0.0, False, -1)

    def way(self, source: str, target: str, t_s: float) -> list[int]:
        """Nodes from one live node to another along the routes; empty without a route, or if only kernels know it."""

        def nodes(row: ScheduleRow) -> list[int]:
            ends = self.schedule.path(row, source, target)
            return [self._number[source], *(int(row.peer[end]) for end in ends)] if ends else []

        return self.schedule.read_at(t_s, nodes) or []

    # -- contacts ------------------------------------------------------------------------------------------------------

    def handed_over(self, handover: Handover) -> None:
        """A moving link changed its far end."""
        spans = self._served[handover.link]
        if not spans:
            spans.append((0.0, self._name(handover.before)))
        spans.append((handover.t_s, self._name(handover.after)))

    def contacts(self, t_s: float, selected: Iterable[int] | None = None) -> list[ContactRow]:
        """Present, past and planned far nodes of at most CONTACTS moving links, `selected` ones or (None) all."""
        links = list(self._moving if selected is None else selected)[:CONTACTS]
        found = self.schedule.read_at(t_s, lambda row: (row.step, row.peer[[2 * link for link in links]].tolist()))
        if found is None:
            return []
        step, serving = found
        coming: dict[int, list[tuple[float, str]]] = defaultdict(list)
        for handover in self.schedule.planned(step):
            coming[handover.link].append((handover.t_s, self._name(handover.after)))
        until_s = (self.schedule.latest + 1) * self.schedule.step_s
        rows: list[ContactRow] = []
        for link, peer in zip(links, serving, strict=True):
            begins = [*(self._served.get(link) or [(0.0, self._name(peer))]), *coming.get(link, [])]
            ends = [*(begin for begin, _ in begins[1:]), until_s]
            spans = [(begin, end, name) for (begin, name), end in zip(begins, ends, strict=True)]
            spec = self._network.links[link]
            rows.append({"link": spec.name, "node": self._network.nodes[spec.a].name, "spans": spans[-SPANS_SHOWN:]})
        return rows

    def _name(self, node: int) -> str:
        return self._network.nodes[node].name if node >= 0 else ""

    # -- the map -------------------------------------------------------------------------------------------------------

    def world(self, t_s: float, pairs: Iterable[tuple[str, str]]) -> WorldMap | None:
        """The positions of nodes, and the routes between the pairs; None if nodes have no positions."""
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
        """Update the positions of moving nodes, if they are older than MAP_EVERY_S."""
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


def _antenna_by_antenna(network: Network) -> list[int]:
    """The moving links: the first one of each node, then the second ones, and so on."""
    links = [number for number, link in enumerate(network.links) if link.moving]
    seen: Counter[int] = Counter()
    place = {}
    for number in links:
        node = network.links[number].a
        place[number] = seen[node]
        seen[node] += 1
    return sorted(links, key=place.__getitem__)

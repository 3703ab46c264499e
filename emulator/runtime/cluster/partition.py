"""Which host owns each node of a run on several hosts.

A packet that crosses hosts travels between them during the delay of its link, so a link that is ever shorter than
`min_cross_s` never crosses. Nodes that must share a host are a unit (`units.py`). Units are put in an order in which
neighbours stand together, and the order is cut into runs of equal load; units that only moving links reach, such as
ground stations, go to the host to which they send most.

Invariant: every node has one owner, every host a node; no link below `min_cross_s` crosses; the result depends on the
arguments alone. A host's share of the load is as its part of all cores. Unless groups of nodes must be apart, the
fullest host has at most 1.05 times its share, or no unit of it fits elsewhere with less: among equal hosts at most
2 - 2 / (hosts + 1) times the load of the best partition.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulator.link.engine.structures import CONSTANTS
from emulator.model.errors import Unfit
from emulator.model.network import Floats, Ints, Network
from emulator.runtime.cluster.adjacency import Adjacency
from emulator.runtime.cluster.demand import Demand, sums
from emulator.runtime.cluster.units import NotApart, Rules, Units, units_of

if TYPE_CHECKING:
    from scipy.sparse import csr_array

MOST_HOSTS = CONSTANTS["HOSTS"]  # that a packet engine can have trunks to, and itself
SHIFTS = 8  # places tried for the first cut, within a share
ROUNDS = 3  # of cutting anew where stations are
EVEN = 1.05  # fullest host / mean, below which nothing is moved for balance alone
PASSES = 10  # over all units, to draw neighbours together
MOST_TRIED = 100_000  # hosts tried for units that must be apart, before they count as impossible


@dataclass(frozen=True, slots=True)
class Partition:
    """The owner of each node: a host from 0 to hosts - 1."""

    owner: NDArray[np.uint8]
    hosts: int
    unit: Ints  # of each node; the nodes of a unit share a host

    @staticmethod
    def whole(nodes: int) -> Partition:
        """All nodes on one host."""
        return Partition(np.zeros(nodes, np.uint8), 1, np.zeros(nodes, np.int32))


def partition(
    network: Network, hosts: int, demand: Demand, near: Adjacency, rules: Rules | None = None,
    cores: Sequence[float] | None = None,
) -> Partition:  # fmt: skip
    """The nodes of `network` over `hosts` hosts of so many cores (None: they are alike). Unfit, with the reason, where
    that cannot be."""
    if not 1 <= hosts <= MOST_HOSTS:
        raise Unfit(f"{hosts} hosts", f"1 to {MOST_HOSTS}")
    if hosts == 1:
        return Partition.whole(len(network.nodes))
    part = np.ones(hosts) if cores is None else np.array(cores, np.float64)
    part /= part.sum()
    units = units_of(network, hosts, demand, near, rules or Rules(), float(part.max()))
    graph = _graph(units, demand, near)
    tried = [_Assignment(part, units, graph, shift / SHIFTS) for shift in range(SHIFTS)]
    owner = min(tried, key=_Assignment.cost).owner[units.unit]
    return Partition(_by_first_nodes(owner, part)[owner], hosts, units.unit)


def _by_first_nodes(owner: NDArray[np.int64], part: Floats) -> NDArray[np.uint8]:
    """The number of each host where those of equal cores are numbered by their first nodes."""
    number = np.empty(len(part), np.uint8)
    first = np.unique(owner, return_index=True)[1]
    for each in np.unique(part):
        alike = np.flatnonzero(part == each)
        number[alike[np.argsort(first[alike])]] = alike
    return number


class _Graph(NamedTuple):
    """The units' neighbours, both ways: how many fixed links join two, and how many packets a second pass."""

    links: csr_array
    packets: csr_array


def _graph(units: Units, demand: Demand, near: Adjacency) -> _Graph:
    from scipy.sparse import csr_array

    count = len(units.cpu)

    def symmetric(a: Ints, b: Ints, weight: Floats) -> csr_array:
        a, b = units.unit[a], units.unit[b]
        differ = a != b
        matrix = csr_array((weight[differ], (a[differ], b[differ])), shape=(count, count))
        both = csr_array(matrix + matrix.T)
        both.sum_duplicates()
        return both

    fixed = ~units.moving[near.link]
    traffic = demand.traffic
    return _Graph(
        symmetric(near.a[fixed], near.b[fixed], np.ones(np.count_nonzero(fixed))),
        symmetric(traffic.tail, traffic.head, traffic.packets_per_s),
    )


class _Assignment:
    """The host of each unit, where the first cut is `shift` of a share on: past 0, the last run of units goes on at the
    beginning."""

    def __init__(self, part: Floats, units: Units, graph: _Graph, shift: float) -> None:
        self._hosts, self._units, self._graph, self._shift = len(part), units, graph, shift
        self._cpu = units.cpu
        self._share = part * units.cpu.sum()  # of the load, by host
        self.owner = np.full(len(units.cpu), -1, np.int64)
        self._load = np.zeros(len(part))
        self._assign()

    def cost(self) -> tuple[float, float]:
        """How much is wrong with it: load past what is even, then packets across."""
        packets = self._graph.packets.tocoo()
        across = packets.data[self.owner[packets.row] != self.owner[packets.col]]
        return max(float((self._load / self._share).max()), EVEN), float(across.sum())

    def _assign(self) -> None:
        joined = np.diff(self._graph.links.indptr) > 0
        body = _walk(self._graph.links, np.flatnonzero(joined) if joined.any() else np.arange(len(joined)))
        leaves = np.setdiff1d(np.arange(len(joined)), body)
        leaves = leaves[np.argsort(-self._cpu[leaves], kind="stable")]
        for _ in range(ROUNDS if len(leaves) else 1):
            self._cut(body, self._load_of(leaves))
            self.owner[leaves] = -1
            self._load = self._load_of(body)
            for unit in leaves.tolist():
                self._give(unit, self._nearest(unit))
        self._separate()
        self._fill()
        self._draw_together()
        self._balance()

    def _load_of(self, units: NDArray[np.int64]) -> Floats:
        given = units[self.owner[units] >= 0]
        return sums(self.owner[given], self._cpu[given], self._hosts)

    def _cut(self, order: NDArray[np.int64], other: Floats) -> None:
        """Cuts `order` into a run for each host, so that the run and `other` make an equal load."""
        cpu = self._cpu[order]
        room = np.maximum(self._share - other, 0.0)
        room *= cpu.sum() / max(room.sum(), 1e-300)
        middle = (np.cumsum(cpu) - cpu / 2 + self._shift * room[0]) % cpu.sum()
        self.owner[order] = np.searchsorted(np.cumsum(room)[:-1], middle, side="right")

    def _give(self, unit: int, host: int) -> None:
        if self.owner[unit] >= 0:
            self._load[self.owner[unit]] -= self._cpu[unit]
        self.owner[unit] = host
        self._load[host] += self._cpu[unit]

    def _packets_to(self, unit: int) -> Floats:
        """Packets a second between a unit and each host."""
        packets = self._graph.packets
        part = slice(packets.indptr[unit], packets.indptr[unit + 1])
        owner, passing = self.owner[packets.indices[part]], packets.data[part]
        return sums(owner[owner >= 0], passing[owner >= 0], self._hosts)

    def _allowed(self, unit: int) -> NDArray[np.bool_]:
        """Hosts without a unit from which this one must be apart."""
        allowed = np.ones(self._hosts, np.bool_)
        foes = self.owner[self._units.apart.get(unit, [])]
        allowed[foes[foes >= 0]] = False
        return allowed

    def _nearest(self, unit: int) -> int:
        """The host with which the unit has most packets, of those that have room; if none has, the emptiest."""
        load = (self._load + self._cpu[unit]) / self._share
        room = load <= EVEN
        if not room.any():
            return int(load.argmin())
        packets = np.where(room, self._packets_to(unit), -1.0)
        return int(np.lexsort((load, -packets))[0])

    def _separate(self) -> None:
        """Moves units that must be apart, those with the most others first; of the possible hosts each keeps its own if
        it can. Goes back where no host is left."""
        pending = sorted(self._units.apart, key=lambda unit: (-len(self._units.apart[unit]), -self._cpu[unit], unit))
        before = dict(zip(pending, self.owner[pending].tolist(), strict=True))
        self.owner[pending] = -1
        tried = 0
        choices: list[Iterator[int]] = []  # hosts still to be tried for each of the first of `pending`
        while len(choices) < len(pending):
            unit = pending[len(choices)]
            possible = np.flatnonzero(self._allowed(unit))
            own = possible == before[unit]
            choices.append(iter([*possible[own].tolist(), *possible[~own].tolist()]))
            while choices:
                unit = pending[len(choices) - 1]
                self.owner[unit] = next(choices[-1], -1)
                tried += 1
                if self.owner[unit] >= 0:
                    break
                choices.pop()
            if not choices or tried > MOST_TRIED:
                found = f"groups that keep {len(pending)} units apart, and no way found to do so on {self._hosts} hosts"
                raise NotApart(None, found, "fewer names, or more hosts")
        self._load = self._load_of(np.arange(len(self.owner)))

    def _fill(self) -> None:
        """Gives each host without a unit the lightest of those that the host with most units has."""
        count = np.bincount(self.owner, minlength=self._hosts)
        for host in np.flatnonzero(count == 0).tolist():
            units = np.flatnonzero(self.owner == count.argmax())
            unit = int(units[self._cpu[units].argmin()])
            count[self.owner[unit]] -= 1
            count[host] += 1
            self._give(unit, host)

    def _draw_together(self) -> None:
        """Moves single units to where they have more packets, as far as the load stays even."""
        for _ in range(PASSES):
            moved = False
            count = np.bincount(self.owner, minlength=self._hosts)
            for unit in range(len(self.owner)):
                home = int(self.owner[unit])
                room = self._allowed(unit) & (self._load + self._cpu[unit] <= EVEN * self._share)
                room[home] = True
                packets = np.where(room, self._packets_to(unit), -1.0)
                host = int(packets.argmax())
                if packets[host] > packets[home] and count[home] > 1:
                    self._give(unit, host)
                    count[home] -= 1
                    count[host] += 1
                    moved = True
            if not moved:
                return

    def _balance(self) -> None:
        """Moves units from the fullest host while it has more than EVEN and a unit has less load elsewhere: that which
        sends the fewest packets more across, for its load. A host keeps its last unit."""
        while True:
            several = np.bincount(self.owner, minlength=self._hosts) > 1
            before = np.where(several, self._load / self._share, 0.0)
            full = int(before.argmax())
            if before[full] <= EVEN:
                return
            best, least = None, np.inf
            for unit in np.flatnonzero(self.owner == full).tolist():
                load = (self._load + self._cpu[unit]) / self._share
                room = self._allowed(unit) & (load < before[full] * (1 - 1e-9))
                if room.any():
                    packets = self._packets_to(unit)
                    added = np.where(room, packets[full] - packets, np.inf)
                    host = int(np.lexsort((load, added))[0])
                    cost = float(added[host]) / self._cpu[unit]
                    if cost < least:
                        best, least = (unit, host), cost
            if best is None:
                return
            self._give(*best)


def _walk(links: csr_array, among: NDArray[np.int64]) -> NDArray[np.int64]:
    """Units in an order in which neighbours stand together: depth first along the most links, from a unit with the
    fewest neighbours of each component. Orbit planes come round their shell."""
    degree = np.diff(links.indptr)
    seen = np.zeros(links.shape[0], np.bool_)
    order: list[int] = []
    for start in among[np.argsort(degree[among], kind="stable")].tolist():
        stack = [start]
        while stack:
            unit = stack.pop()
            if seen[unit]:
                continue
            seen[unit] = True
            order.append(unit)
            part = slice(links.indptr[unit], links.indptr[unit + 1])
            ahead, count = links.indices[part], links.data[part]
            stack += ahead[np.lexsort((-ahead, count))].tolist()  # the last is taken first
    return np.array(order, np.int64)

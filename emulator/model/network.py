"""The network model of all rooms: nodes, links, and the timeline that the links follow.

Plain values, no kernel, no clock. Invariant: link `i` has two ends, `2*i` (sends from a to b) and `2*i + 1` (sends
from b to a); every table of every room is indexed by these end numbers and by the node numbers of `Network.nodes`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from emulator.model.names import matches

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
Bools = NDArray[np.bool_]


DOWNLINK = "gsl"  # a node's one port towards all moving links that reach it, where the topology gives it no name


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """A node: live nodes get a namespace, the others are transit nodes inside the relay.

    The behaviour of a node follows from its flags; its role is a label for people.
    """

    name: str
    role: str  # "satellite", "ground station", "host", …
    live: bool
    ipv4: str = ""  # address on loopback, without prefix; empty for bridges
    ipv6: str = ""
    position: tuple[float, float] | None = None  # latitude, longitude in degrees, where it is fixed
    forwards: bool = False  # may lie inside a path
    shared_downlink: bool = False  # may be the far end of moving links, all of which reach it by one port
    shared_uplink: bool = False  # sends on all its moving links by one port: the engine chooses, by destination
    bridge: bool = False  # its namespace holds a learning bridge; no programs, no addresses


@dataclass(frozen=True, slots=True)
class GilbertElliott:
    """Two-state burst loss: chance per packet of changing state, and of loss in each state."""

    good_to_bad: float
    bad_to_good: float
    loss_good: float = 0.0
    loss_bad: float = 1.0


@dataclass(frozen=True, slots=True)
class Effects:
    """The effects of a link end on packets, beside the schedule. The queue is full if any of its bounds is reached."""

    queue_bytes: float = inf  # waiting bytes, without the packet in transmission
    queue_packets: float = inf
    queue_s: float = inf  # waiting time
    head_drop: bool = False  # a full queue drops its oldest packet instead of the new one
    burst_loss: GilbertElliott | None = None
    jitter_s: float = 0.0  # added delay is uniform in [0, 2·jitter]: mean jitter_s beside the propagation delay
    reorder: bool = False  # whether jitter may reorder packets
    overtake: bool = False  # a packet may arrive before packets that left earlier, if its delay is shorter
    duplicate: float = 0.0  # probability
    corrupt: float = 0.0  # probability that one bit of the packet is flipped
    hold_when_down: bool = False  # while the link is down packets wait in the queue instead of being dropped

    @property
    def overtaking(self) -> bool:
        """Whether packets may arrive in another order than they left."""
        return self.overtake or (self.reorder and self.jitter_s > 0.0)

    @property
    def per_packet(self) -> bool:
        """Whether an effect applies to single packets, so that segments must not be merged."""
        return bool(self.burst_loss or self.jitter_s or self.duplicate or self.corrupt)


@dataclass(frozen=True, slots=True)
class PiecewiseSchedule:
    """A time table of one link end. Delay is interpolated between knots; rate, loss and up hold until the next.

    The values of the first knot hold before it, those of the last knot after it, unless `period_s` repeats the table
    (then t_s[0] must be 0 and period_s greater than t_s[-1]). Two knots at one time make a jump.
    """

    t_s: Floats
    delay_s: Floats
    rate_bps: Floats  # inf: unlimited; 0: nothing leaves
    loss: Floats
    up: Bools
    period_s: float = inf

    @staticmethod
    def constant(delay_s: float = 0.0, rate_bps: float = inf, loss: float = 0.0, up: bool = True) -> PiecewiseSchedule:
        one = np.ones(1)
        return PiecewiseSchedule(one * 0.0, one * delay_s, one * rate_bps, one * loss, np.array([up]))


@dataclass(frozen=True, slots=True)
class EndSpec:
    """One direction of a link. Without its own schedule the end follows the rows of the network's timeline."""

    effects: Effects = field(default_factory=Effects)
    schedule: PiecewiseSchedule | None = None


@dataclass(frozen=True, slots=True)
class LinkSpec:
    """A link between two nodes. `moving`: b is only the first far end; the timeline's `peer` has the present one."""

    name: str  # of its forward end: "<node a>:<port a>", and the antenna's number where links share the port
    a: int
    b: int
    a_port: str  # interface names, 15 characters at most
    b_port: str
    forward: EndSpec = field(default_factory=EndSpec)
    backward: EndSpec = field(default_factory=EndSpec)
    moving: bool = False
    ethernet: bool = False  # TAP with frames instead of TUN with packets
    carrier: bool = False  # its interfaces show no carrier while the link is down in either direction; needs schedules
    a_address: str = ""  # "10.0.0.1/8" where the scenario numbers its interfaces (Mininet topologies)
    b_address: str = ""


@dataclass(frozen=True, slots=True)
class Handover:
    """A moving link changed its far end at the start of a step. -1 means none (out of coverage)."""

    t_s: float
    link: int
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class SubstepTables:
    """The values within one step of the F ends that `Timeline.substep` names, at most K knots each.

    A table's knots are like those of `PiecewiseSchedule`: delay is interpolated, two knots at one time make a jump. The
    first knot is at the beginning of the step, the last at its end.
    """

    count: Ints  # F; knots used, 2 or more; 0: the row's own values hold
    t_s: Floats  # F × K; scenario time, ascending
    delay_s: Floats  # F × K; interpolated between knots
    rate_bps: Floats  # F × K; holds until the next knot, as do
    loss: Floats  # F × K
    up: Bools  # F × K


@dataclass(frozen=True, slots=True)
class ScheduleRow:
    """The values of all link ends, and the routes, during one schedule step, [step·step_s, (step+1)·step_s).

    E ends, N nodes, D destinations (the live nodes, in the order of `Network.live`). If an end has a substep table
    (`substep`), that is in force; the row's own values are then its means, and `up` whether it is up at any time.
    Delays between nodes follow from these columns: `emulator.schedule.routes.route_delay_s`.
    """

    step: int
    delay_start_s: Floats  # E; delay is interpolated linearly within the step, and may jump between steps
    delay_end_s: Floats  # E
    rate_bps: Floats  # E
    loss: Floats  # E
    up: Bools  # E
    peer: Ints  # E; node that receives the packets of this end (-1: none)
    next_end: Ints  # D × N; end on which node n sends a packet for destination d (-1: unreachable or n is d)
    handovers: tuple[Handover, ...] = ()
    substep: SubstepTables | None = None


class Rates(NamedTuple):
    """Rate and loss of every link end, if they are constant over the run."""

    rate_bps: Floats
    loss: Floats


class SubstepSpec(NamedTuple):
    """Link ends (without schedules of their own) that change more often than rows do, and the most knots that each
    has in one step."""

    ends: Ints  # F
    knots: int


class Timeline(Protocol):
    """Produces rows in order, each a pure function of its step number (so that any window can be computed).

    Without `with_routes` rows have no destinations (`next_end` is 0 × N), which takes a fraction of the time.
    """

    step_s: float
    rates: Rates | None  # None: they change, and are in the rows
    substep: SubstepSpec | None  # None: no end has substep tables

    def rows(self, first: int, count: int, with_routes: bool = True) -> Iterator[ScheduleRow]: ...


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """Options of a scenario for every topology; passed to the topology module's `build(config, options)`."""

    materialise: str | tuple[str, ...] = "ends"  # "ends", "all", or names and globs of the transit nodes to make live
    routing: str = "least-delay"
    step_s: float = 1.0
    routing_step_s: float | None = None  # None: every step, or 15 s where more than 200 nodes are live
    seed: int = 1
    duration_s: float = 60.0
    directory: str = "."  # base of relative paths in the scenario
    skip_bad: bool = False  # leave out malformed element sets instead of refusing the file

    def is_live(self, name: str, end_point: bool) -> bool:
        """Whether a node gets a namespace: end points always, transit nodes when `materialise` names them."""
        if end_point or self.materialise == "all":
            return True
        return not isinstance(self.materialise, str) and matches(self.materialise, name)


@dataclass(frozen=True, slots=True)
class Network:
    """The whole network as numbers. `timeline` may be None if every end has its own schedule: the network of a scenario
    gets one then (`emulator/scenario/build.py`)."""

    nodes: tuple[NodeSpec, ...]
    links: tuple[LinkSpec, ...]
    timeline: Timeline | None = None
    routing: str = "least-delay"  # or "static" (routes of the first row), "neighbours" (over one link only), "none"
    extra: dict[str, Any] = field(default_factory=dict)  # facts that a topology shows: shells, map, …

    @property
    def live(self) -> list[int]:
        """Node numbers of the live nodes: the destinations of every routing table, in this order."""
        return [number for number, node in enumerate(self.nodes) if node.live]

    @property
    def end_points(self) -> list[int]:
        """Live nodes where traffic begins and ends: all but satellites and bridges, or all if there are no others."""
        nodes = self.nodes
        ends = [node for node in self.live if not (nodes[node].shared_downlink or nodes[node].bridge)]
        return ends if len(ends) > 1 else self.live

    @property
    def substep(self) -> SubstepSpec | None:
        """The link ends with substep tables; None if the timeline has none, or no attribute `substep`."""
        return getattr(self.timeline, "substep", None)

    def end_spec(self, end: int) -> EndSpec:
        link = self.links[end // 2]
        return link.backward if end % 2 else link.forward

    def end_name(self, end: int) -> str:
        """Name of a link end, by its sending node and port: "gs-tokyo:up"."""
        link = self.links[end // 2]
        if link.moving:
            return f"{link.name}~down" if end % 2 else link.name
        node, port = (link.b, link.b_port) if end % 2 else (link.a, link.a_port)
        return f"{self.nodes[node].name}:{port}"

    def end_names(self, end: int) -> tuple[str, ...]:
        """The names by which a user may select a link end: its own, and that of the port that it shares with others."""
        name, link = self.end_name(end), self.links[end // 2]
        if not link.moving:
            return (name,)
        port = f"{self.nodes[link.a].name}:{link.a_port}{'~down' if end % 2 else ''}"
        return (name,) if port == name else (name, port)

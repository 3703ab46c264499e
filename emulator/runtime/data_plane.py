"""The data plane below the node processes: it starts, controls and ends the ring of rows, planner, fabric and relay.

Invariant: the planner is forked before the fabric is built and the relay after it, so that neither holds descriptors
that it does not use; each has one SEQPACKET socket to the supervisor, and the end of each is noticed.
"""

from __future__ import annotations

import difflib
import select
import time
from collections import defaultdict
from dataclasses import replace
from math import ceil, inf
from typing import TYPE_CHECKING, Any

from emulator.model.errors import EmulationError, UsageError
from emulator.runtime.control.channel import Channel, Message
from emulator.runtime.programs.child import Child, return_freed_memory
from emulator.schedule.row_digest import KeptDigests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from emulator.fabric import Fabric, Port
    from emulator.model.network import Network
    from emulator.schedule.ring import RowRing

RING_BYTES = 48e6  # largest size of the ring for a large network; it holds at least MIN_ROWS rows
ROUTE_BATCH = 64  # nodes whose routes are changed in one turn of the event loop
PLANNER_BATCH = 4  # messages of the planner in one turn
FULL_IPV6 = 200  # live nodes
MAX_ROWS, MIN_ROWS = 16, 4


class DataPlane:
    """Planner, fabric and relay of one run. `threads` and `realtime` are the packet engine's."""

    def __init__(
        self, network: Network, seed: int, duration_s: float, *, threads: int = 1, realtime: bool = False
    ) -> None:
        self.network = network
        self.number = {node.name: number for number, node in enumerate(network.nodes)}
        self.seed = seed
        self._engine: dict[str, Any] = {"threads": threads, "realtime": realtime}
        self.steps = 0
        self.ring: RowRing | None = None
        self.planner: Child | None = None
        self.planner_channel: Channel | None = None
        self.fabric: Fabric | None = None
        self.relay: Child | None = None
        self.relay_channel: Channel | None = None
        self.ports: list[Port] = []
        self.planner_summary: Message = {}
        self.row_digests = KeptDigests()
        self.late_rows = 0
        self.failure = ""  # of the planner
        self.refused_routes: list[str] = []
        self._routes: dict[int, list[Any]] = defaultdict(list)  # kernel routes by the step that they begin with
        self._rows = 0
        self._forwarding = _forwarding(network)
        if network.timeline is not None:
            self.steps = ceil(duration_s / network.timeline.step_s) + 2

    @property
    def step_s(self) -> float:
        assert self.network.timeline is not None
        return self.network.timeline.step_s

    # -- before play ---------------------------------------------------------------------------------------------------

    def start_planner(self, close: list[int]) -> None:
        """Fork the planner, if the network has a timeline. `close`: descriptors that it must not keep."""
        timeline = self.network.timeline
        if timeline is None:
            return
        from emulator.schedule.fib import FibCompiler
        from emulator.schedule.planner import run_planner
        from emulator.schedule.ring import RowRing

        shape = 2 * len(self.network.links), len(self.network.nodes), len(self.network.live)
        substep = self.network.substep
        per_row = RowRing(*shape, MIN_ROWS, substep).bytes_per_row  # unused pages cost nothing
        ring = self.ring = RowRing(*shape, max(MIN_ROWS, min(MAX_ROWS, int(RING_BYTES / per_row))), substep)
        routed = self._forwarding and self.network.routing != "none"
        fibs = [FibCompiler(self.network, 4), FibCompiler(with_routed_ipv6(self.network), 6)] if routed else []
        ours, theirs = Channel.pair()
        self.planner_channel = ours
        steps = self.steps

        def plan() -> None:
            return_freed_memory()
            run_planner(timeline, ring, theirs.socket, steps, fibs=fibs)

        self.planner = Child("planner", plan, close=[*close, ours.fileno()])
        theirs.close()

    def build(self, progress: Callable[[int, int], None]) -> None:
        """Make namespaces and ports. `progress(done, total)` may raise to stop it."""
        from emulator.fabric import Fabric

        self.fabric = Fabric(self.network)

        def also_hear_the_planner(done: int, total: int) -> None:
            self._hear_planner(0.0)
            progress(done, total)

        self.ports = self.fabric.build(also_hear_the_planner)

    def wait_for_rows(self, count: int, progress: Callable[[float, float], None]) -> None:
        """Wait until `count` of the planner's first rows are ready. EmulationError if the planner has failed."""
        count = min(count, self.steps)
        while self.planner is not None and self._rows < count:
            progress(self._rows, count)
            self._hear_planner(0.1)
            self.check_planner()

    def apply_first_routes(self, progress: Callable[[float, float], None]) -> None:
        """Set the kernel routes of the first step."""
        deltas = self._take_routes(0)
        for first in range(0, len(deltas), ROUTE_BATCH):
            progress(first, len(deltas))
            self._apply(deltas[first : first + ROUTE_BATCH])

    def start_relay(self, close: list[int]) -> None:
        """Fork the relay with all ports; the supervisor closes its copies of them."""
        from emulator.link.relay import Relay

        ours, theirs = Channel.pair()
        self.relay_channel = ours
        network, ports, ring, seed, engine = self.network, self.ports, self.ring, self.seed, self._engine
        closing = [*close, ours.fileno()]
        if self.planner_channel is not None:
            closing.append(self.planner_channel.fileno())
        self.relay = Child(
            "relay", lambda: Relay(network, ports, ring, seed, theirs.socket, **engine).run(), close=closing
        )
        theirs.close()
        ours.socket.setblocking(False)
        if self.planner_channel is not None:
            self.planner_channel.socket.setblocking(False)

    # -- during play ---------------------------------------------------------------------------------------------------

    def start(self, t0_ns: int) -> None:
        """Send the start time of play to relay and planner."""
        for channel in (self.relay_channel, self.planner_channel):
            if channel is not None:
                try:
                    channel.send({"op": "start", "t0_ns": t0_ns})
                except OSError:  # it has ended, as the planner of a short run does after its last row
                    pass

    def tell_relay(self, message: Message, fds: tuple[int, ...] = ()) -> None:
        """Send an order to the relay. EmulationError if it does not accept it."""
        assert self.relay_channel is not None
        try:
            self.relay_channel.send_soon(message, fds)
        except OSError as error:
            raise EmulationError(f"the relay does not take the order {message['op']!r}: {error}") from error

    def hear_planner(self) -> bool:
        """Process some messages of the planner, for the event loop, which calls again while there are more.

        Returns False after the planner has closed its socket.
        """
        return self._hear_planner(0.0, PLANNER_BATCH)

    def switch_routes(self, step: int) -> Iterator[int]:
        """Apply the kernel routes that begin with `step`, and earlier ones that were late.

        Yields the number of changed nodes after every ROUTE_BATCH of them, so that other tasks have a turn: a
        materialised shell has thousands of changes. With static routing only the first step's routes are used.
        """
        for begin in sorted(number for number in self._routes if number <= step):
            deltas = self._take_routes(begin)
            if begin == 0 or self.network.routing != "static":
                for first in range(0, len(deltas), ROUTE_BATCH):
                    batch = deltas[first : first + ROUTE_BATCH]
                    self._apply(batch)
                    yield len(batch)

    def check_planner(self) -> None:
        """EmulationError if the planner has failed."""
        if self.failure:
            raise EmulationError(f"the schedule cannot be computed: {self.failure}")
        if self.planner is not None and self.planner.wait(0.0) and self.planner.status != 0:
            self._hear_planner(0.0)
            raise EmulationError(f"{self.planner.describe_end()}{': ' if self.failure else ''}{self.failure}")

    def stop_relay(self, on_message: Callable[[Message], None], timeout_s: float) -> bool:
        """Stop the relay and read its last statistics; returns whether they arrived."""
        if self.relay is None or self.relay_channel is None:
            return False
        channel, final = self.relay_channel, False
        try:
            channel.send({"op": "stop"})
        except OSError:
            pass
        deadline = time.monotonic() + timeout_s
        channel.socket.settimeout(0.2)
        while not final and time.monotonic() < deadline:
            try:
                message, _ = channel.receive()
            except TimeoutError:
                continue
            if message is None:
                break
            on_message(message)
            final = bool(message.get("final"))
        if not self.relay.wait(1.0):
            self.relay.kill()
        return final

    def close(self) -> None:
        """End planner and relay if they still run. The kernel removes the rest with the sandbox."""
        for child in (self.relay, self.planner):
            if child is not None:
                child.kill()

    def _hear_planner(self, wait_s: float, most: float = inf) -> bool:
        channel = self.planner_channel
        if channel is None:
            return False
        poll = select.poll()
        poll.register(channel, select.POLLIN)
        ready = poll.poll(wait_s * 1e3)
        while ready:
            message, _ = channel.receive()
            if message is None:
                return False
            match message["op"]:
                case "routes":
                    self._routes[message["step"]] += message["deltas"]
                case "row":
                    self._rows = message["step"] + 1
                    self.late_rows += message["late_s"] > 0
                    self.row_digests.note(self._rows, message["digest"])
                case "failed":
                    self.failure = message["message"]
                case "summary":
                    self.planner_summary = message
            most -= 1
            ready = poll.poll(0) if most > 0 else []
        return True

    def _take_routes(self, step: int) -> list[Any]:
        from emulator.schedule.planner import deltas

        return [delta for delta in deltas(self._routes.pop(step, [])) if delta.node in self._forwarding]

    def _apply(self, deltas: list[Any]) -> None:
        if deltas and self.fabric is not None:
            self.refused_routes += self.fabric.apply_routes(deltas)

    def netns(self, name: str) -> int:
        """Descriptor of a live node's network namespace. UsageError if there is no such node."""
        number = self.number.get(name)
        if number is None:
            near = difflib.get_close_matches(name, self.number, 1)
            meant = f"; did you mean {near[0]!r}?" if near else ""
            raise UsageError(f"there is no node {name!r} in this run{meant} (`skyloom exec` lists the live ones)")
        if not self.network.nodes[number].live:
            raise UsageError(
                f"{name} is a transit node without a namespace; `materialise` in the scenario gives it one"
            )
        assert self.fabric is not None
        return self.fabric.netns(number)


def with_routed_ipv6(network: Network) -> Network:
    """The network with only those IPv6 addresses that are routed.

    With more than FULL_IPV6 live nodes these are the end points': IPv6 routes between all satellites would double the
    400,000 kernel routes of a materialised shell.
    """
    if len(network.live) <= FULL_IPV6:
        return network
    nodes = (replace(node, ipv6="") if node.shared_downlink else node for node in network.nodes)
    return replace(network, nodes=tuple(nodes))


def _forwarding(network: Network) -> set[int]:
    """Live nodes whose kernel routes follow the schedule: those with several ports and no interface addresses of their
    own in the scenario."""
    ports: dict[int, int] = defaultdict(int)
    numbered: set[int] = set()
    shared: set[int] = set()  # nodes whose moving links share a port that is counted
    moving = False
    for link in network.links:
        for node, address in ((link.a, link.a_address), (link.b, link.b_address)):
            ports[node] += 1
            if address:
                numbered.add(node)
        moving = moving or link.moving
        if link.moving:
            ports[link.b] -= 1
            ports[link.a] -= link.a in shared
            if network.nodes[link.a].shared_uplink:
                shared.add(link.a)
    return {
        number
        for number in network.live
        if number not in numbered
        and not network.nodes[number].bridge
        and ports[number] + (moving and network.nodes[number].shared_downlink) > 1
    }

"""The data plane of one host below the node processes: planner, fabric and relay, from their making to their end.

Invariant: the planner is forked before the fabric is built and the relay after it, so that neither holds descriptors
that it does not use; the relay too has one SEQPACKET socket to its parent, and its end is noticed.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from emulator.model.errors import EmulationError, SkyloomError
from emulator.runtime.control import session
from emulator.runtime.control.channel import Channel, Message
from emulator.runtime.plane import Plane
from emulator.runtime.programs.child import Child

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from emulator.fabric import Fabric, Port
    from emulator.link import trunks
    from emulator.model.network import Network
    from emulator.schedule.fib import FibCompiler

ROUTE_BATCH = 64  # nodes whose routes are changed in one turn of the event loop
RELAY_BATCH = 4  # messages of the relay in one turn: some 5 ms
RELAY_STOP_S = 3.0
MEANWHILE_S = 0.02
FULL_IPV6 = 200  # live nodes


class DataPlane(Plane):
    """Planner, fabric and relay of one run. `threads` and `realtime` are the packet engine's. `split`: which nodes are
    this host's, where the run has several."""

    def __init__(
        self,
        network: Network,
        seed: int,
        duration_s: float,
        *,
        threads: int = 1,
        realtime: bool = False,
        split: trunks.Hosts | None = None,
        compared: bool = False,
    ) -> None:
        super().__init__(network, duration_s, compared)
        own = network.live if split is None else [node for node in network.live if split.of_node[node] == split.own]
        self.live = own
        self.seed = seed
        self._engine: dict[str, Any] = {"threads": threads, "realtime": realtime}
        if split is not None:
            self._engine["hosts"] = split
        self.fabric: Fabric | None = None
        self.relay: Child | None = None
        self.relay_channel: Channel | None = None
        self.ports: list[Port] = []
        self._forwarding = _forwarding(network) & set(self.live)

    # -- before play ---------------------------------------------------------------------------------------------------

    def _fibs(self) -> Sequence[FibCompiler]:
        from emulator.schedule.fib import FibCompiler

        if not self._forwarding or self.network.routing == "none":
            return ()
        return FibCompiler(self.network, 4), FibCompiler(with_routed_ipv6(self.network), 6)

    def build(self, progress: Callable[[int, int], None]) -> None:
        """Make namespaces and ports. `progress(done, total)` may raise to stop it."""
        from emulator.fabric import Fabric

        self.fabric = Fabric(self.network, self.live)

        def also_hear_the_planner(done: int, total: int) -> None:
            self._hear_planner(0.0)
            progress(done, total)

        self.ports = self.fabric.build(also_hear_the_planner)

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

    # -- during play ---------------------------------------------------------------------------------------------------

    def start(self, t0_ns: int) -> None:
        """Send the start time of play to relay and planner."""
        super().start(t0_ns)
        if self.relay_channel is not None:
            try:
                self.relay_channel.send({"op": "start", "t0_ns": t0_ns})
            except OSError:  # it has ended, which its watcher tells
                pass

    def attach(self, broken: Callable[[SkyloomError], None]) -> None:
        """Serve planner and relay in the running event loop; `broken` hears why one of them ended."""
        super().attach(broken)
        assert self.relay is not None
        assert self.relay_channel is not None
        loop = asyncio.get_running_loop()
        loop.add_reader(self.relay.fileno(), self._relay_ended, broken)
        loop.add_reader(self.relay_channel.fileno(), self.hear_relay)

    def detach(self) -> None:
        """Watch neither any longer; reports of the relay still come."""
        super().detach()
        if self.relay is not None and self.relay.status is None:
            asyncio.get_running_loop().remove_reader(self.relay.fileno())

    def hear_relay(self) -> None:
        """Some reports of the relay, for the event loop, which calls again while there are more."""
        assert self.relay_channel is not None
        for _ in range(RELAY_BATCH):
            try:
                message, _fds = self.relay_channel.receive()
            except BlockingIOError:
                return
            if message is None:
                asyncio.get_running_loop().remove_reader(self.relay_channel.fileno())
                return
            self.on_report(message)

    def tell_relay(self, message: Message, fds: tuple[int, ...] = ()) -> None:
        """Send an order to the relay. EmulationError if it does not accept it."""
        assert self.relay_channel is not None
        try:
            self.relay_channel.send_soon(message, fds)
        except OSError as error:
            raise EmulationError(f"the relay does not take the order {message['op']!r}: {error}") from error

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

    def stop_relay(self, quickly: bool = False, meanwhile: Callable[[], None] = lambda: None) -> bool:
        """Stop the relay and read its last statistics; returns whether they arrived. `quickly`: hardly wait.
        `meanwhile` is called again and again: the relay's captures may need a reader here."""
        if self.relay is None or self.relay_channel is None:
            return False
        channel, final = self.relay_channel, False
        asyncio.get_running_loop().remove_reader(channel.fileno())
        try:
            channel.send({"op": "stop"})
        except OSError:
            pass
        deadline = time.monotonic() + (0.1 if quickly else RELAY_STOP_S)
        channel.socket.settimeout(MEANWHILE_S)
        while not final and time.monotonic() < deadline:
            meanwhile()
            try:
                message, _ = channel.receive()
            except TimeoutError:
                continue
            if message is None:
                break
            self.on_report(message)
            final = bool(message.get("final"))
        if not self.relay.wait(1.0):
            self.relay.kill()
        return final

    def alter(self, message: Message) -> None:
        self.tell_relay(message)

    def act(self, action: Mapping[str, Any]) -> None:
        pass  # what follows from it has gone to the relay

    def packets_sent(self) -> dict[str, int]:
        """Packets that each node has sent by its ports, those among them that the kernel dropped too."""
        sent: dict[str, int] = defaultdict(int)
        for name, stats in (self.fabric.counters() if self.fabric is not None else {}).items():
            sent[name.rpartition(":")[0]] += stats.tx_packets + stats.tx_dropped
        return dict(sent)

    def close(self) -> None:
        """End planner and relay if they still run. The kernel removes the rest with the sandbox."""
        if self.relay is not None:
            self.relay.kill()
        super().close()

    def _relay_ended(self, broken: Callable[[SkyloomError], None]) -> None:
        assert self.relay is not None
        asyncio.get_running_loop().remove_reader(self.relay.fileno())
        self.relay.wait(0.0)
        broken(EmulationError(f"{self.relay.describe_end()}; see {session.own_log()}"))

    def _take_routes(self, step: int) -> list[Any]:
        from emulator.schedule.planner import deltas

        return [delta for delta in deltas(self._routes.pop(step, [])) if delta.node in self._forwarding]

    def _apply(self, deltas: list[Any]) -> None:
        if deltas and self.fabric is not None:
            self.refused_routes.extend(self.fabric.apply_routes(deltas))

    def netns(self, name: str) -> int:
        """Descriptor of a live node's network namespace. UsageError if there is no such node."""
        number = self.live_node(name)
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

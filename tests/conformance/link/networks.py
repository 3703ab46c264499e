"""Random small networks with rows, and scripts for them; everything follows from one number."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
from link_ends import Timeline
from made_packets import ICMP, ICMP6, TCP, UDP, make
from oracle.packet_bytes import ETHERNET, VIRTIO, hop_limit, wire_size
from oracle.packets import segments
from scripts import Dice, Step, knots

from emulator.link.engine.engine import Delivery, Engine
from emulator.link.engine.tables import memory_ports
from emulator.link.taps import Batches
from emulator.model.network import (
    Effects,
    EndSpec,
    Ints,
    LinkSpec,
    Network,
    NodeSpec,
    ScheduleRow,
    SubstepSpec,
    SubstepTables,
)
from emulator.schedule.ring import RowRing

STEPS, STEP_S, SUBSTEP_KNOTS = 5, 0.2, 4
HORIZON_S = STEPS * STEP_S - 1e-6
STRANGERS = {
    4: [socket.inet_aton("10.9.9.9"), socket.inet_aton("224.0.0.5")],
    6: [bytes([0xFD] * 16), bytes([0xFF] * 16)],
}


@dataclass(frozen=True)
class Case:
    network: Network
    rows: tuple[ScheduleRow, ...]
    seed: int


def delay_s(dice: Dice) -> float:
    if dice.even:
        return max(dice.least_s, dice.choice([0.0, 0.01, 0.01, 0.02]))
    some = 0.0, 0.001, 0.01, dice.uniform(0, 0.05), dice.uniform(0.001, 0.05), dice.uniform(0.001, 0.05)
    return max(dice.least_s, dice.choice(some))


def rate_bps(dice: Dice) -> float:
    if dice.even:
        return dice.choice([inf, inf, inf, 1e6])
    return dice.choice([inf, inf, 1e6, 1e7, 10 ** dice.uniform(5, 9), 0.0])


def effects(dice: Dice) -> Effects:
    if dice.even or dice.chance(0.6):
        return Effects()
    return Effects(
        queue_bytes=dice.choice([inf, 3000.0]),
        queue_packets=dice.choice([inf, inf, 2.0]),
        queue_s=dice.choice([inf, 0.01]),
        head_drop=dice.chance(0.5),
        jitter_s=dice.choice([0.0, 0.005]),
        overtake=dice.chance(0.3),
        duplicate=dice.choice([0.0, 0.03]),  # of which 64 hops in a circle make 7
        hold_when_down=dice.chance(0.5),
    )


def case(dice: Dice, nodes: int = 0) -> Case:
    """A network of 3 to 8 nodes with links between any of them, some of which move, and all of its rows."""
    count = nodes or dice.randint(3, 8)
    dice.even = dice.chance(0.3)
    live = {0, count - 1} | {node for node in range(count) if dice.chance(0.3)}
    pairs = [(node, dice.randrange(node)) for node in range(1, count)]  # it is connected
    pairs += [tuple(dice.sample(range(count), 2)) for _ in range(dice.randint(0, count))]
    mobile = dice.chance(0.7)
    moving = [mobile and dice.chance(0.3) for _ in pairs]
    stations = {a for (a, _), moves in zip(pairs, moving, strict=True) if moves}
    specs = []
    for node in range(count):
        role = dice.choice(["host", "switch"]) if node in stations or not any(moving) else "satellite"
        told = dice.chance(0.8) or node in live
        specs.append(NodeSpec(f"n{node}", role, node in live, f"10.0.0.{node + 1}" if told else "",
                              f"fd00::{node + 1:x}" if dice.chance(0.7) else "",
                              forwards=role != "host", shared_downlink=role == "satellite"))  # fmt: skip
    links = []
    for number, ((a, b), moves) in enumerate(zip(pairs, moving, strict=True)):
        if moves and b in stations:
            moves = False
        ends = [EndSpec(effects(dice), knots(dice) if not moves and dice.chance(0.2) else None) for _ in range(2)]
        ethernet = not moves and a in live and b in live and dice.chance(0.5)
        links.append(LinkSpec(f"n{a}:p{number}", a, b, f"p{number}", f"q{number}", *ends, moves, ethernet))
    free = [
        end
        for end in range(2 * len(links))
        if (links[end // 2].backward if end % 2 else links[end // 2].forward).schedule is None
    ]
    substep = (
        SubstepSpec(np.array(dice.sample(free, min(2, len(free))), np.int32), SUBSTEP_KNOTS)
        if free and dice.chance(0.5)
        else None
    )
    routing = dice.choice(["least-delay"] * 3 + ["neighbours", "static"])
    network = Network(tuple(specs), tuple(links), Timeline(STEP_S, None, substep), routing)
    satellites = [node for node in range(count) if specs[node].shared_downlink]
    rows: list[ScheduleRow] = []
    for step in range(STEPS):
        rows.append(row(dice, network, satellites, step, rows[-1] if rows else None))
    return Case(network, tuple(rows), dice.randint(0, 9))


def row(dice: Dice, network: Network, satellites: Sequence[int], step: int, before: ScheduleRow | None) -> ScheduleRow:
    ends = 2 * len(network.links)
    peer = np.zeros(ends, np.int32)
    for number, link in enumerate(network.links):
        peer[2 * number : 2 * number + 2] = link.b, link.a
        if link.moving:
            kept = before is not None and dice.chance(0.5)
            peer[2 * number] = before.peer[2 * number] if kept else dice.choice([*satellites, -1])
    start_s = np.array([delay_s(dice) for _ in range(ends)])
    substep = None
    if network.substep is not None:
        substep = substep_tables(dice, len(network.substep.ends), step)
    return ScheduleRow(
        step,
        start_s,
        np.array([start if dice.even else dice.choice([start, delay_s(dice)]) for start in start_s]),
        np.array([rate_bps(dice) for _ in range(ends)]),
        np.array([dice.choice([0.0, 0.0, 0.0, 0.2]) for _ in range(ends)]),
        np.array([dice.chance(0.9) for _ in range(ends)]),
        peer,
        routes(dice, network, peer),
        substep=substep,
    )


def substep_tables(dice: Dice, places: int, step: int) -> SubstepTables:
    count = np.array([dice.choice([0, SUBSTEP_KNOTS]) for _ in range(places)], np.int32)
    t_s = np.array([[step, step + 0.25, step + dice.random(), step + 1] for _ in range(places)]) * STEP_S
    t_s.sort(axis=1)
    made = [[[draw(dice) for _ in range(SUBSTEP_KNOTS)] for _ in range(places)] for draw in (delay_s, rate_bps)]
    up = [[dice.chance(0.9) for _ in range(SUBSTEP_KNOTS)] for _ in range(places)]
    return SubstepTables(
        count, t_s, np.array(made[0]), np.array(made[1]), np.zeros((places, SUBSTEP_KNOTS)), np.array(up)
    )


def sender_of(network: Network, end: int, peer: Ints) -> int:
    link = network.links[end // 2]
    if end % 2 == 0:
        return link.a
    return int(peer[end - 1]) if link.moving else link.b


def routes(dice: Dice, network: Network, peer: Ints) -> Ints:
    """Any end of each node for each destination: mostly one on which it is reached at once, so that some arrive."""
    leaving: dict[int, list[int]] = {}
    for end in range(2 * len(network.links)):
        if int(peer[end]) >= 0:
            leaving.setdefault(sender_of(network, end, peer), []).append(end)
    table = np.full((len(network.live), len(network.nodes)), -1, np.int32)
    for dest, goal in enumerate(network.live):
        for node in range(len(network.nodes)):
            direct = [end for end in leaving.get(node, []) if int(peer[end]) == goal]
            choice = direct if direct and dice.chance(0.8) else leaving.get(node, [])
            if choice and node != goal and dice.chance(0.95):
                table[dest, node] = dice.choice(choice)
    return table


def script(dice: Dice, made: Case, steps: int = 40) -> list[Step]:
    """Packets that live nodes send to live and transit nodes and to strangers, and changes of the links."""
    network, out, t_s = made.network, [], 0.0
    for number in range(dice.randint(1, steps)):
        gaps = [0.0, 0.01] if dice.even else [0.0, 0.001, 0.01, 0.02, dice.uniform(0, 0.04)]
        t_s = min(t_s + dice.choice(gaps), HORIZON_S)
        kind = dice.choice(["offer"] * 12 + ["due", "set", "hold"])
        end = dice.randrange(2 * len(network.links))
        what: Any = None
        if kind == "offer":
            offered = _offer(dice, made, t_s, number)
            if offered is None:
                continue
            end, what = offered
        elif kind == "set":
            what = {
                "delay_s": dice.choice([None, delay_s(dice)]),
                "rate_bps": dice.choice([None, rate_bps(dice)]),
                "up": dice.choice([None, True, False]),
            }
        elif kind == "hold":
            what = dice.chance(0.4)
        out.append(Step(kind, t_s, (end, what)))
    return out


def _offer(
    dice: Dice, made: Case, t_s: float, number: int
) -> tuple[int, tuple[float, bytes, int, int, int, int]] | None:
    """A packet and the end on which a live node sends it: by a port of its own, or as a satellite by the routes."""
    network, here = made.network, made.rows[int(t_s / STEP_S)]
    node = dice.choice(network.live)
    ends = [end for end in range(2 * len(network.links)) if sender_of(network, end, here.peer) == node]
    fixed = [end for end in ends if not (end % 2 and network.links[end // 2].moving)]
    down = [end for end in ends if end not in fixed]
    if not ends:
        return None
    end = dice.choice(fixed or down)
    ethernet = network.links[end // 2].ethernet
    data = _packet(dice, network, node, number, ethernet)
    size = wire_size(data, VIRTIO + ETHERNET if ethernet else VIRTIO)
    if end in fixed:
        return end, (t_s, data, size, -1, 0, -1)
    dest = dice.randrange(len(network.live))
    return end, (t_s, data, size, dest, hop_limit(data), -1)


def _packet(dice: Dice, network: Network, node: int, number: int, ethernet: bool) -> bytes:
    version = dice.choice([4, 6])
    family, attribute = (socket.AF_INET, "ipv4") if version == 4 else (socket.AF_INET6, "ipv6")
    texts = [getattr(spec, attribute) for spec in network.nodes]
    known = [socket.inet_pton(family, text) for text in texts if text]
    own = socket.inet_pton(family, texts[node]) if texts[node] else STRANGERS[version][0]
    live = [socket.inet_pton(family, texts[goal]) for goal in network.live if texts[goal]]
    others = known or STRANGERS[version]
    goal = dice.choice([*(live or others), *(live or others), dice.choice(others), dice.choice(STRANGERS[version])])
    more: dict[str, Any] = {"src": own, "dst": goal, "ethernet": ethernet, "identity": number}
    more["ttl"] = dice.choice([1, 2, 3, 5, 64])
    letter = bytes([number % 256])
    kind = dice.choice(["udp", "udp", "merged", "ping"])
    if kind == "ping":
        return make(version, ICMP if version == 4 else ICMP6, letter * 20, kind=8 if version == 4 else 128, **more).data
    if kind == "udp":
        return make(version, UDP, letter * dice.choice([1, 700, 1400]), partial=dice.chance(0.5), **more).data
    more["src"] = STRANGERS[version][0]  # of a refused merged packet nobody is told: the model has no whole of it
    return make(version, dice.choice([TCP, UDP]), letter * dice.randint(1001, 6000), segment=1000, **more).data


class EngineNetwork:
    """The same network inside an engine in memory."""

    def __init__(self, made: Case, lanes: int, threads: bool = False, lane_of_node: Ints | None = None) -> None:
        network = made.network
        self.ends, self.threads, self._ip = 2 * len(network.links), threads, ip_offsets(network)
        self.engine = Engine(
            network, memory_ports(network), ring_of(made), made.seed,
            lanes=lanes, lane_of_node=lane_of_node, small_slots=1 << 14, large_slots=1 << 9, handover_bytes=1 << 20,
        )  # fmt: skip
        listen(self.engine)

    def tell(self, steps: Sequence[Step], until_s: float) -> dict[str, Any]:
        """Play a script; what came, in order, what each end let go of, and the counters at the end."""
        came = []
        for step in (*steps, Step("due", until_s, (0, None))):
            end, what = step.what
            if step.kind == "offer":
                t_s, data, size, dest, hops, _ = what
                assert self.engine.offer(end, t_s, data, size, dest, hops)
                continue
            self.engine.play(step.t_s, self.threads)
            came += self.engine.take()
            if step.kind == "set":
                self.engine.set(end, step.t_s, **what)
            elif step.kind == "hold":
                self.engine.hold(end, step.t_s, what)
        for end in range(self.ends):
            self.engine.tap_ends(end, 1, until_s)
        log = heard(self.engine, self._ip)
        return {"came": arrivals(came, self._ip), "log": in_order(log), "counters": self.engine.all_stats().tolist()}


def ring_of(made: Case) -> RowRing:
    network = made.network
    ends, rows = 2 * len(network.links), max(3, len(made.rows))
    ring = RowRing(ends, len(network.nodes), len(network.live), rows, network.substep)
    for one in made.rows:
        ring.put(one)
    return ring


def listen(engine: Engine) -> None:
    """Capture all that the link ends let go of, for `heard`."""
    engine.open_tap(0, 1 << 24, 1 << 17)
    for end in range(engine.ends):
        engine.tap_ends(end, 1, -1.0)


def heard(engine: Engine, ip: Sequence[int]) -> list[tuple[int, float, int, Any]]:
    """What link ends have let go of: end, time, cause, packet."""
    out, batches = [], Batches()
    while data := engine.drain_tap(0):
        for batch in batches.feed(data):
            assert not batch.lost
            at = 0
            for left_s, mark, captured in zip(batch.left_s, batch.mark, batch.captured, strict=True):
                packet = segments(bytes(batch.body[at : at + captured]), ip[(mark >> 8) // 2])
                out.append((mark >> 8, left_s, mark & 255, packet))
                at += captured
    return out


def ip_offsets(network: Network) -> list[int]:
    """Where the IP header begins in the packets of each link."""
    return [VIRTIO + ETHERNET if link.ethernet else VIRTIO for link in network.links]


def arrivals(came: Sequence[Delivery], ip: Sequence[int]) -> list[tuple[Any, ...]]:
    told = [(p.end, p.at_s, p.node, p.dest, p.hops, p.size, segments(p.data, ip[p.end // 2])) for p in came]
    return by_node(told)


def by_node(told: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Arrivals (end, time, node, …) in their order at each node: what comes to two nodes at one time has none."""
    return sorted(told, key=lambda one: (one[1], one[0], one[2]))


def in_order(log: list[tuple[int, float, int, Any]]) -> list[tuple[int, float, int, Any]]:
    """What ends let go of, by end and time: two lanes write what one end sends and what is refused at its far node."""
    return sorted(log, key=lambda one: (one[:3], repr(one[3])))

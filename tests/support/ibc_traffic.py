"""Transfers between chains by a relayer that drops, doubles, delays and reorders, and a ledger that checks them.

The ledger has its own arithmetic of denominations and escrow; of `nodes/ibc/core` it uses messages and events only.
Invariants: for every channel and token, escrow = vouchers + transfers in flight; nothing is received twice; an
acknowledgement or a timeout comes once; nothing is left on accounts of the way.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from random import Random

from ibc_world import FUNDS, SECOND_NS, Chain, End, Link, World, packet_in, transfer

from nodes.ibc.core.errors import AbciError
from nodes.ibc.core.events import Event
from nodes.ibc.proto import channel as ch
from nodes.ibc.proto import channel_v2 as v2
from nodes.ibc.proto.ibc import Height

NAMES = "abcd"
FAILURE = sha256(b"UNIVERSAL_ERROR_ACKNOWLEDGEMENT").digest()


def local(path: str) -> str:
    """The bank's name of a path."""
    return f"ibc/{sha256(path.encode()).hexdigest().upper()}" if "/" in path else path


def where(end: End) -> str:
    return end.channel or end.client


def prefix(end: End) -> str:
    return f"transfer/{where(end)}/"


def escrow(end: End) -> bytes:
    return sha256(f"ics20-1\0transfer/{where(end)}".encode()).digest()[:20]


def arrival(link: Link, path: str) -> str:
    """What a token of a path is called after it went from a to b."""
    return path.removeprefix(prefix(link.a)) if path.startswith(prefix(link.a)) else prefix(link.b) + path


@dataclass
class Flight:
    """A packet from a to b, and what was seen of it."""

    link: Link
    packet: ch.Packet | v2.Packet
    path: str
    amount: int
    answer: bytes | v2.Acknowledgement | None = None
    received: int = 0
    settled: int = 0

    @property
    def succeeded(self) -> bool:
        if isinstance(self.answer, v2.Acknowledgement):
            return self.answer.app_acknowledgements != (FAILURE,)
        return self.answer is not None and b'"result"' in self.answer

    @property
    def delivered(self) -> bool:
        """Whether b has given the tokens, which it may still take back where it holds its answer."""
        return bool(self.received) and (self.answer is None or self.succeeded)

    @property
    def in_flight(self) -> bool:
        return not self.settled and not self.delivered


@dataclass
class Traffic:
    """Four chains in a line, with a second channel, a shortcut and a v2 path beside it."""

    world: World = field(default_factory=World)
    links: list[Link] = field(default_factory=list)
    flights: list[Flight] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)
    paths: dict[str, str] = field(default_factory=dict)  # of each name in a bank

    @classmethod
    def make(cls) -> Traffic:
        traffic = cls()
        world = traffic.world
        chains = [world.add(name) for name in NAMES]
        pairs = [(0, 1), (1, 2), (2, 3), (0, 1), (0, 3)]
        traffic.links = [world.open_channel(world.connect(chains[i], chains[j])) for i, j in pairs]
        traffic.links.append(world.link_v2(chains[0], chains[2]))
        for chain in chains:
            denom = f"stake{chain.name}"
            chain.fund(denom)
            traffic.paths[denom] = denom
            chain.events.clear()
        return traffic

    def directions(self) -> list[Link]:
        return [each for link in self.links for each in (link, link.back)]

    def ends(self, chain: Chain) -> list[End]:
        return [link.a for link in self.directions() if link.a.chain is chain]

    def owned(self, chain: Chain) -> list[str]:
        """What the user of a chain can send."""
        prefix = b"user".hex() + "/"
        return [
            key.removeprefix(prefix)
            for key, value in ((raw.decode(), value) for raw, value in chain.stores["bank"].iterate(prefix.encode()))
            if int(value)
        ]

    def waiting(self) -> list[Flight]:
        """Packets for which a relayer can do something."""
        return [each for each in self.flights if not each.settled and (each.answer is not None or not each.received)]

    # Moves.

    def send(
        self, direction: int, denom: int, amount: int, hops: list[int], *, broken: bool, timeout_s: int, retries: int
    ) -> None:
        """Send from the user of a direction's a; `hops` are ends to leave each next chain by."""
        link = self.directions()[direction % len(self.directions())]
        owned = self.owned(link.a.chain)
        if not owned:
            return
        name = owned[denom % len(owned)]
        memo, receiver = "", link.b.chain.user()
        if link.a.channel:
            way = [link]
            for hop in hops:
                ends = [end for end in self.ends(way[-1].b.chain) if end.channel]
                end = ends[hop % len(ends)]
                way.append(next(each for each in self.directions() if each.a is end))
            receiver = way[-1].b.chain.user()
            for each in reversed(way[1:]):
                forward: dict[str, object] = {
                    "receiver": "nobody" if broken and not memo else receiver if not memo else "pfm",
                    "port": "transfer",
                    "channel": each.a.channel,
                    "timeout": f"{timeout_s}s",
                    "retries": retries,
                }
                if memo:
                    forward["next"] = json.loads(memo)
                memo = json.dumps({"forward": forward})
        receiver = "pfm" if memo else "nobody" if broken else receiver
        timeout_ns = link.a.chain.time_ns + timeout_s * SECOND_NS
        self._try(link.a.chain, lambda: transfer(link.a, name, amount, receiver, memo=memo, timeout_ns=timeout_ns))

    def relay(self, flight: int, step: str, age: int = 0) -> None:
        """Do one step for one packet, however useless; `age` proves at an older height that the client knows."""
        if self.flights:
            self._relay(self.flights[flight % len(self.flights)], step, age)

    def tick(self, chain: int, seconds: int) -> None:
        self.world.chains[NAMES[chain % len(NAMES)]].commit(seconds)

    def _relay(self, flight: Flight, step: str, age: int = 0) -> None:
        link, packet, world = flight.link, flight.packet, self.world
        end = link.b if step == "receive" else link.a
        height = self._old(end, age) if age else None
        if step == "acknowledge" and flight.answer is None:
            return
        if isinstance(packet, v2.Packet):
            answer = flight.answer if isinstance(flight.answer, v2.Acknowledgement) else v2.Acknowledgement()
            act: Callable[[], object] = {
                "receive": lambda: world.receive_v2(link, packet, height=height),
                "acknowledge": lambda: world.acknowledge_v2(link, packet, answer, height=height),
                "timeout": lambda: world.timeout_v2(link, packet, height=height),
            }[step]
        else:
            told = flight.answer if isinstance(flight.answer, bytes) else b""
            act = {
                "receive": lambda: world.receive(link, packet, height=height),
                "acknowledge": lambda: world.acknowledge(link, packet, told, height=height),
                "timeout": lambda: world.timeout(link, packet, height=height),
            }[step]
        self._try(end.chain, act)

    def _old(self, end: End, age: int) -> Height:
        start = f"height/{end.client}/"
        known = sorted(
            int(key.decode().removeprefix(start)) for key, _ in end.chain.stores["clients"].iterate(start.encode())
        )
        return Height(0, known[-1 - age % len(known)])

    def _try(self, chain: Chain, act: Callable[[], object]) -> None:
        chain.events.clear()
        try:
            act()
        except AbciError as error:
            self.refusals[f"{error.codespace} {error.code}"] += 1
        for event in chain.events:
            self._observe(chain, event)
        self.check()

    # The ledger.

    def _observe(self, chain: Chain, event: Event) -> None:
        names = dict(event.attributes)
        if event.type == "send_packet":
            self._sent(chain, event)
        elif event.type in ("recv_packet", "write_acknowledgement", "acknowledge_packet", "timeout_packet"):
            flight = self._flight(chain, event)
            if event.type == "recv_packet":
                flight.received += 1
            elif event.type != "write_acknowledgement":
                flight.settled += 1
            else:
                assert flight.answer is None, "answered twice"
                encoded = names.get("encoded_acknowledgement_hex")
                flight.answer = (
                    v2.Acknowledgement.decode(bytes.fromhex(encoded))
                    if encoded
                    else bytes.fromhex(names["packet_ack_hex"])
                )

    def _sent(self, chain: Chain, event: Event) -> None:
        encoded = dict(event.attributes).get("encoded_packet_hex")
        packet = v2.Packet.decode(bytes.fromhex(encoded)) if encoded else packet_in(event)
        name = packet.source_client if isinstance(packet, v2.Packet) else packet.source_channel
        link = next(each for each in self.directions() if each.a.chain is chain and where(each.a) == name)
        data = json.loads(packet.payloads[0].value if isinstance(packet, v2.Packet) else packet.data)
        for path in (data["denom"], arrival(link, data["denom"])):
            self.paths[local(path)] = path
        self.flights.append(Flight(link, packet, data["denom"], int(data["amount"])))

    def _flight(self, chain: Chain, event: Event) -> Flight:
        there = event.type in ("recv_packet", "write_acknowledgement")
        names = dict(event.attributes)
        is_v2 = "encoded_packet_hex" in names
        key = ("packet_dest_client" if there else "packet_source_client") if is_v2 else (
            "packet_dst_channel" if there else "packet_src_channel"
        )  # fmt: skip
        return next(
            flight
            for flight in self.flights
            if (end := flight.link.b if there else flight.link.a).chain is chain
            and where(end) == names[key]
            and flight.packet.sequence == int(names["packet_sequence"])
        )

    def check(self) -> None:
        """Raises AssertionError where an invariant does not hold."""
        for flight in self.flights:
            assert flight.received <= 1, "received twice"
            assert flight.settled <= 1, "acknowledged and timed out, or one of both twice"
        for link in self.directions():
            self._check_escrow(link)
        for chain in self.world.chains.values():
            assert chain.supply(f"stake{chain.name}") == FUNDS

    def _check_escrow(self, link: Link) -> None:
        a, b = link.a, link.b
        held: Counter[str] = Counter()
        owed: Counter[str] = Counter()
        start = escrow(a).hex() + "/"
        for key, value in a.chain.stores["bank"].iterate(start.encode()):
            held[self.paths[key.decode().removeprefix(start)]] += int(value)
        for key, value in b.chain.stores["bank"].iterate(b"supply/"):
            path = self.paths[key.decode().removeprefix("supply/")]
            if path.startswith(prefix(b)):
                owed[path.removeprefix(prefix(b))] += int(value)
        for flight in self.flights:
            if not flight.in_flight:
                continue
            if flight.link.a is a and not flight.path.startswith(prefix(a)):
                owed[flight.path] += flight.amount
            elif flight.link.a is b and flight.path.startswith(prefix(b)):
                owed[flight.path.removeprefix(prefix(b))] += flight.amount
        assert +held == +owed, f"{a.chain.name} towards {b.chain.name}: escrow {+held}, owed {+owed}"

    def settle(self) -> None:
        """Relay all that is left, as an honest relayer does; then nothing is in flight, and nothing lies on the way."""
        for _ in range(400):
            waiting = [flight for flight in self.flights if not flight.settled]
            if not waiting:
                break
            for flight in waiting:
                for step in ("receive", "acknowledge", "timeout"):
                    if not flight.settled:
                        self._relay(flight, step)
            latest_ns = max(chain.time_ns for chain in self.world.chains.values())
            for chain in self.world.chains.values():
                chain.time_ns = latest_ns + 60 * SECOND_NS
        assert all(flight.settled == 1 for flight in self.flights), "a packet is stuck"
        for flight in self.flights:  # once more, all of it, which must change nothing
            for step in ("receive", "acknowledge", "timeout"):
                self._relay(flight, step)
        kept = {b"user".hex(), *(escrow(link.a).hex() for link in self.directions())}
        for chain in self.world.chains.values():
            assert not chain.stores["packetfowardmiddleware"].values
            for key, value in chain.stores["bank"].values.items():
                holder = key.decode().partition("/")[0]
                assert holder in kept or holder == "supply" or not int(value), f"{value!r} of {key!r} lost on the way"


def walk(seed: int, steps: int = 60) -> Traffic:
    """Random traffic, then peace."""
    chance = Random(f"ibc traffic {seed}")
    traffic = Traffic.make()
    for _ in range(steps):
        move = chance.random()
        if move < 0.3 or not traffic.flights:
            traffic.send(
                chance.randrange(99),
                chance.randrange(99),
                chance.randint(1, 50),
                [chance.randrange(99) for _ in range(chance.choice((0, 0, 1, 1, 2, 3)))],
                broken=chance.random() < 0.3,
                timeout_s=chance.choice((5, 60, 3600)),
                retries=chance.choice((0, 0, 1, 2)),
            )
        elif move < 0.9:
            step = chance.choice(("receive", "receive", "acknowledge", "acknowledge", "timeout"))
            traffic.relay(chance.randrange(999), step, chance.choice((0, 0, 0, 1, 3)))
        else:
            traffic.tick(chance.randrange(4), chance.choice((1, 10, 100)))
    traffic.settle()
    return traffic

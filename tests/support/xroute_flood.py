"""Relayers that flood over links that delay, reorder, lose and double what is said, on a clock that jumps.

Invariant: the same arguments give the same course. Times are in milliseconds since 1970; nothing waits.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import count
from random import Random

from nodes.ibc.proto.ibc import Height
from nodes.xroute.flooding.ads import Advertisement, ChainAd, ClientStatus, EdgeAd, EdgeClaims
from nodes.xroute.flooding.flood import Flooding, Settings
from nodes.xroute.flooding.wire import FloodCodec
from nodes.xroute.keys import Key

START_MS = 1_700_000_000_000
TICK_MS = 100
QUICK = Settings(max_age_s=60, retransmit_ms=500, resync_ms=2_000)
_CODEC = FloodCodec()


def identity_of(name: str) -> bytes:
    return sha256(name.encode()).digest()


def edge_ad(verifier: str, tracked: str, client: str = "07-tendermint-0", **changes: object) -> EdgeAd:
    made = EdgeAd(
        identity_of(verifier), identity_of(tracked), client, "07-tendermint-7", "07-tendermint", ClientStatus.ACTIVE,
        Height(1, 9), 9, 86_400, 1, 3, claims=EdgeClaims(rtt_ms=20, success_ppm=990_000),
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def chain_ad(name: str, **changes: object) -> ChainAd:
    return replace(ChainAd(identity_of(name), Height(1, 9), 9, bytes(32), bytes(32)), **changes)  # type: ignore[arg-type]


def key_of(name: str) -> Key:
    return Key.named(f"relayer {name}")


@dataclass
class Net:
    """Relayers by name, and which of them are neighbours."""

    names: Sequence[str]
    edges: Iterable[tuple[str, str]]
    seed: int = 1
    loss: float = 0.0
    double: float = 0.0
    delay_ms: tuple[int, int] = (5, 40)
    settings: Settings = QUICK
    now_ms: int = START_MS
    cut: set[frozenset[str]] = field(default_factory=set)
    sent_bytes: int = 0

    def __post_init__(self) -> None:
        self.stakes = {key_of(name).public: 10 for name in self.names}
        self.relayers = {name: Flooding(key_of(name), self.stakes, self.settings) for name in self.names}
        self.ages: list[tuple[str, float]] = []  # advertisements, and how old they were when they came to somebody
        self._random = Random(f"flood {self.seed}")
        self._number = count()
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self.links = {frozenset(edge) for edge in self.edges}
        for link in sorted(self.links, key=sorted):
            self._connect(link)
        for name in self.names:
            self._tick(name)

    def partition(self, inside: Iterable[str]) -> None:
        """Cut all links between some relayers and the others; both sides notice after a second."""
        group = set(inside)
        for link in self.links:
            if len(link & group) == 1:
                self.cut.add(link)
                self.later(1000, lambda link=link: self._disconnect(link))  # type: ignore[misc]

    def heal(self) -> None:
        cut, self.cut = self.cut, set()
        for link in sorted(cut, key=sorted):
            self._connect(link)

    def restart(self, name: str) -> Flooding:
        """A relayer loses its memory."""
        self.relayers[name] = Flooding(key_of(name), self.stakes, self.settings)
        for link in sorted(self.links - self.cut, key=sorted):
            if name in link:
                self._connect(link)
        return self.relayers[name]

    def announce(self, name: str, ad: EdgeAd | ChainAd) -> None:
        self.relayers[name].announce(ad, self.now_ms)
        self.post(name)

    def run(self, duration_ms: int) -> None:
        self.until(lambda: False, duration_ms)

    def until(self, condition: Callable[[], bool], most_ms: int = 60_000) -> int:
        """Let time pass until the condition holds, as seen every 100 ms; how long that took, -1 where it never did."""
        begin_ms, last_ms, look_ms = self.now_ms, self.now_ms + most_ms, self.now_ms
        while self._events and self._events[0][0] <= last_ms:
            if look_ms <= self._events[0][0]:
                look_ms = self._events[0][0] + TICK_MS
                if condition():
                    return self.now_ms - begin_ms
            self.now_ms, _, act = heapq.heappop(self._events)
            act()
        self.now_ms = last_ms
        return most_ms if condition() else -1

    def converged(self, names: Iterable[str] | None = None) -> bool:
        return len({self.relayers[name].database.digests() for name in names or self.names}) == 1

    def held(self, name: str) -> dict[bytes, bytes]:
        """What a relayer holds of advertisements: by key."""
        return {each.key: each.data for each in self.relayers[name].database.advertisements()}

    def later(self, delay_ms: int, act: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now_ms + delay_ms, next(self._number), act))

    def _connect(self, link: frozenset[str]) -> None:
        for name, peer in (sorted(link), sorted(link, reverse=True)):
            self.relayers[name].connected(peer, self.now_ms)
            self.post(name)

    def _disconnect(self, link: frozenset[str]) -> None:
        if link in self.cut:
            for name, peer in (sorted(link), sorted(link, reverse=True)):
                self.relayers[name].disconnected(peer)

    def _tick(self, name: str) -> None:
        self.relayers[name].tick(self.now_ms)
        self.post(name)
        self.later(TICK_MS, lambda: self._tick(name))

    def post(self, name: str) -> None:
        """Send what a relayer has to say, and note what it has learnt."""
        relayer = self.relayers[name]
        while relayer.learnt:
            learnt = relayer.learnt.popleft()
            if isinstance(learnt.entry, Advertisement):
                self.ages.append((learnt.entry.digest.hex(), learnt.age_ms / 1000))
        for peer, message in relayer.take():
            data = _CODEC.encode(message)
            self.sent_bytes += len(data)
            for _ in range(2 if self._random.random() < self.double else 1):
                if self._random.random() >= self.loss:
                    self.later(self._random.randint(*self.delay_ms), lambda *, a=peer, d=data: self._arrive(name, a, d))  # type: ignore[misc]

    def _arrive(self, source: str, target: str, data: bytes) -> None:
        if frozenset((source, target)) not in self.cut:
            self.relayers[target].receive(source, _CODEC.decode(data), self.now_ms)
            self.post(target)

"""Messages over several chains under load: xRoute over a mesh against a hub, both on chains with a limit of gas.

python -m benchmarks xroute_load [--chains N] [--relayers N] [--gas N] [--loads MESSAGES_PER_S …] [--sides xroute hub]

Chains, relayers and transactions are those that run as processes; here they are in one process on a clock that jumps,
in five regions with the round trips of the scenario. So seconds are of the emulated time, which no other program
disturbs, and computing takes none of it: what limits a chain is the gas of its blocks. Load is offered for a minute;
messages are delivered on for one more. `delivered/s` is of the last 40 s of the load, latencies are of all messages
that were delivered; where some were not, theirs would be longer.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush
from itertools import count, cycle
from string import ascii_lowercase

from nodes.ibc.chain.chain import Limits
from nodes.ibc.comet.hashes import header_hash
from nodes.ibc.core.denominations import Denomination
from nodes.ibc.core.transfer_data import JSON, TransferData
from nodes.ibc.heap import collect_rarely
from nodes.ibc.proto.channel_v2 import Payload
from nodes.ibc.relayer.calls import BlockAt, Call, TransactionsAt, Unanswered
from nodes.ibc.relayer.core import ChainSettings
from nodes.ibc.relayer.opening import ClientTerms
from nodes.ibc.relayer.signer import Terms as SignerTerms
from nodes.xroute.identity import identity
from nodes.xroute.load import GAS, INTERVAL_S
from nodes.xroute.module.messages import MsgSend
from nodes.xroute.module.module import Xroute
from nodes.xroute.names.registry import Registry
from nodes.xroute.policy.parser import parse
from nodes.xroute.proofs.messages import Mode
from nodes.xroute.relayer.core import Relayer, Settings
from nodes.xroute.relayer.turns import Turns
from scenarios.xroute.graph import Pair, hub, mesh, way
from scenarios.xroute.ledger import Ledger
from scenarios.xroute.parameters import Parameters
from scenarios.xroute.side import CHORDS, POWERS, WEAK_POWERS
from tests.support.ibc_chain import GENESIS_NS, SECOND_NS, address, signed
from tests.support.ibc_relayed import Node
from topologies.wan.maps import MAPS

MAP = MAPS["five-regions"]
DEFAULTS = Parameters.model_validate({})
POLICY = parse(DEFAULTS.policy).encode()
LOAD_S, WARM_S, DRAIN_S, READY_S = 60.0, 20.0, 60.0, 120.0
TICK_S = 0.1  # how often relayers look at the clock
CONFIRM_S = 20.0
TURN_S = 20.0  # after which the next relayer takes over
TIMEOUT_S = 600
ACCOUNTS = 2  # of a relayer on a chain
ALICE = 0  # the number of her account
WRONGS = ("lost", "duplicated", "forged", "wrongly_refunded", "failed")


@dataclass
class Net:
    """Chains with a limit of gas, relayers, and calls that take as long as the way between their regions."""

    pairs: Sequence[Pair]
    chains: int
    relayers: int
    gas: int
    now_s: float = 2.0
    _events: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _numbers: count[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.names = list(ascii_lowercase[: self.chains])
        self.crew = [f"relayer-{place + 1}" for place in range(self.relayers)]
        keys = [f"{name}/{number}" for name in self.crew for number in range(ACCOUNTS)]
        weak = self.chains - DEFAULTS.weak
        self.nodes = [
            Node(
                name, extensions=(Registry(), Xroute()), limits=Limits(block_gas=self.gas), keys=keys,
                powers=POWERS if place < weak else WEAK_POWERS,
            )
            for place, name in enumerate(self.names)
        ]  # fmt: skip
        self.identities = [
            identity(node.chain_id, 1, header_hash(node.chain.ledger[1].block.header)) for node in self.nodes
        ]
        self.cores = [self._core(place) for place in range(self.relayers)]
        for place in range(self.chains):
            self.at(self.now_s + place * DEFAULTS.block_s / self.chains, partial(self._block, place))
        for place in range(self.relayers):
            self._tick(place)

    def _core(self, place: int) -> Relayer:
        name = self.crew[place]
        chains = tuple(
            ChainSettings(
                node.name, SignerTerms(node.name, node.chain_id, "cosmos", "stake", 0.0, CONFIRM_S),
                tuple(f"{name}/{number}" for number in range(ACCOUNTS)),
            )
            for node in self.nodes
        )  # fmt: skip
        opens = tuple((self.names[a], self.names[b]) for a, b in self.pairs[place :: self.relayers])
        clients = ClientTerms(14 * 86_400.0, 21 * 86_400.0, 40.0)
        turns = Turns(name, self.crew, round(TURN_S * 1e9))
        return Relayer(
            Settings(chains, clients, opens, block_gas=self.gas, turns=turns, stall_s=2 * DEFAULTS.block_s),
            self.now_ns,
        )

    @property
    def now_ns(self) -> int:
        return GENESIS_NS + round(self.now_s * SECOND_NS)

    def at(self, when_s: float, act: Callable[[], None]) -> None:
        heappush(self._events, (when_s, next(self._numbers), act))

    def run(self, until_s: float, done: Callable[[], bool] = lambda: False) -> None:
        """Let time pass."""
        while self._events and self._events[0][0] <= until_s and not done():
            self.now_s, _, act = heappop(self._events)
            act()

    def _way_s(self, relayer: int, chain: int) -> float:
        sites = len(MAP.sites)
        return MAP.one_way_s(relayer % sites, chain % sites)

    def _block(self, place: int) -> None:
        self.nodes[place].block(self.now_ns)
        height = self.nodes[place].chain.height
        for relayer in range(self.relayers):
            self.at(self.now_s + self._way_s(relayer, place), partial(self._heard, relayer, place, height))
        self.at(self.now_s + DEFAULTS.block_s, partial(self._block, place))

    def _heard(self, relayer: int, chain: int, height: int) -> None:
        self.cores[relayer].clock.tell(self.now_ns)
        self.cores[relayer].announce(self.names[chain], height)
        self._pump(relayer)

    def _tick(self, relayer: int) -> None:
        self.cores[relayer].tick(self.now_ns)
        self._pump(relayer)
        self.at(self.now_s + TICK_S, partial(self._tick, relayer))

    def _pump(self, relayer: int) -> None:
        for ticket, calls in self.cores[relayer].take():
            way_s = max(self._way_s(relayer, self.names.index(call.chain)) for call in calls)
            self.at(self.now_s + way_s, partial(self._call, relayer, ticket, calls, way_s))

    def _call(self, relayer: int, ticket: int, calls: Sequence[Call], way_s: float) -> None:
        try:
            answers: object = [self.nodes[self.names.index(call.chain)].call(call) for call in calls]
        except Unanswered as failure:
            answers = failure

        def answered() -> None:
            self.cores[relayer].clock.tell(self.now_ns)
            self.cores[relayer].answer(ticket, answers)  # type: ignore[arg-type]
            self._pump(relayer)

        self.at(self.now_s + way_s, answered)

    def is_ready(self) -> bool:
        return all(len(core.network.graph.edges) == 2 * len(self.pairs) for core in self.cores)

    def load(self, messages_per_s: float, mode: Mode, until_s: float) -> None:
        """Each chain sends to each other one in turn, all at the same rate."""
        weak = range(self.chains - DEFAULTS.weak, self.chains)
        for source in range(self.chains):
            others = [(source + step) % self.chains for step in range(1, self.chains)]
            ways = [(way(self.pairs, source, each, weak) or []) if mode is Mode.HOP else [] for each in others]
            sender = Sender(self, source, mode, cycle(zip(others, ways, strict=True)), messages_per_s / self.chains)
            sender.run(until_s)

    def ledger(self) -> Ledger:
        """What the chains say of all messages."""
        ledger = Ledger(self.cores[0].network.own)
        for name, node in zip(self.names, self.nodes, strict=True):
            for height in range(1, node.chain.height + 1):
                ledger.read(name, node.call(BlockAt(name, height)), node.call(TransactionsAt(name, height)))
        return ledger


@dataclass
class Sender:
    """Alice on one chain: messages to others in turn, by `ways` of which each has a destination and transits."""

    net: Net
    source: int
    mode: Mode
    ways: Iterator[tuple[int, Sequence[int]]]
    rate: float
    sent: int = 0

    def __post_init__(self) -> None:
        self._begin_s = self.net.now_s

    def run(self, until_s: float) -> None:
        net, node = self.net, self.net.nodes[self.source]
        if net.now_s >= until_s:
            return
        due = int((net.now_s - self._begin_s + INTERVAL_S) * self.rate) - self.sent
        if due:
            messages = [self._message(*next(self.ways)) for _ in range(due)]
            gas, sequence = GAS * due, node.sequences["alice"]
            node.sequences["alice"] += not node.chain.submit(
                signed("alice", messages, sequence, ALICE, gas=gas, chain_id=node.chain_id)
            ).code
            self.sent += due
        net.at(net.now_s + INTERVAL_S, partial(self.run, until_s))

    def _message(self, destination: int, transits: Sequence[int]) -> MsgSend:
        net = self.net
        data = TransferData(Denomination("stake"), 1, address("alice"), address("bob"), "")
        payload = Payload("transfer", "transfer", "ics20-1", JSON, data.encode(JSON))
        way = tuple(net.identities[each] for each in transits)
        late_s = net.now_ns // SECOND_NS + TIMEOUT_S
        return MsgSend(
            net.identities[destination], "", POLICY, self.mode, late_s, payload, way, 0, None, address("alice")
        )  # fmt: skip


def row(side: str, rate: float, options: argparse.Namespace) -> None:
    is_hub, chains = side == "hub", options.chains
    pairs = hub(chains) if is_hub else mesh(chains, 4 if chains >= CHORDS else 2)
    net = Net(pairs, chains, options.relayers, options.gas)
    net.run(READY_S, net.is_ready)
    begin_s, before = net.now_s, [len(node.results) for node in net.nodes]
    end_s = begin_s + LOAD_S
    net.load(rate, Mode.HOP if is_hub else Mode.E2E, end_s)
    net.run(end_s)
    net.run(end_s + DRAIN_S, lambda: net.now_s > end_s + 5 and not any(len(core.jobs) for core in net.cores))
    ledger = net.ledger()
    figures = ledger.figures(ledger.acknowledged)
    first_ns, last_ns = (GENESIS_NS + round(each * 1e9) for each in (begin_s + WARM_S, end_s))
    times_ns = [fate.delivered_ns[0] for fate in ledger.fates.values() if fate.delivered_ns]
    delivered = sum(first_ns <= each < last_ns for each in times_ns)
    gas = [
        sum(result.gas_used for result in node.results[first:]) for node, first in zip(net.nodes, before, strict=True)
    ]
    wrongs = sum(int(figures[each]) for each in WRONGS) + sum(1 for _ in ledger.violations())
    of_messages = 1e3 * len(times_ns)
    print(
        f"{rate:9.1f} {side:>7} {delivered / (LOAD_S - WARM_S):12.2f} {float(figures['p50_ms']) / 1e3:8.1f} "
        f"{float(figures['p95_ms']) / 1e3:8.1f} {figures['delivered']:>9} of {figures['sent']:>5} "
        f"{float(figures['top_transit_share']):10.3f} {max(gas) / of_messages:8.0f} "
        f"{sum(gas) / of_messages:7.0f} {wrongs:>7}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chains", type=int, default=12)
    parser.add_argument("--relayers", type=int, default=6)
    parser.add_argument("--gas", type=int, default=1_000_000)
    parser.add_argument("--loads", type=float, nargs="+", default=[2, 4, 6, 8, 16, 28])
    parser.add_argument("--sides", nargs="+", default=["hub", "xroute"])
    options = parser.parse_args()
    collect_rarely()
    limit = f"blocks of {DEFAULTS.block_s:g} s and {options.gas:,} gas"
    print(f"{options.chains} chains, {options.relayers} relayers, {limit}; thousands of gas by message")
    print("offered/s    side  delivered/s    p50 s    p95 s          delivered  top share  busiest  in all  wrongs")
    for rate in options.loads:
        for side in options.sides:
            row(side, rate, options)


if __name__ == "__main__":
    main()

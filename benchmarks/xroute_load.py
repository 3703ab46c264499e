"""Messages over several chains under load: xRoute over a mesh against a hub, both on chains with a limit of gas.

python -m benchmarks xroute_load [--chains N] [--relayers N] [--gas N] [--loads MESSAGES_PER_S …]

Chains, relayers and their transactions are the ones that run as processes; here they are in one process on a clock that
jumps, in five regions with the round trips of the scenario, so seconds are of the emulated time, and no other program
disturbs them. Computing takes no time: what limits a chain is the gas of its blocks. Load is offered for a minute. Of a
load that is above the ceiling messages wait ever longer, so its latency is that of those which were delivered until two minutes
after it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count, cycle

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
from scenarios.xroute.recipe import POWERS, WEAK_POWERS
from tests.support.ibc_chain import GENESIS_NS, SECOND_NS, address, signed
from tests.support.ibc_relayed import Node
from topologies.wan.maps import MAPS

MAP = MAPS["five-regions"]
LOAD_S, WARM_S, DRAIN_S = 60.0, 20.0, 120.0
TICK_S = 0.1
ACCOUNTS = 2  # of a relayer on a chain
ALICE = 0  # the number of her account
DEFAULTS = Parameters.model_validate({})


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
        self.names = [f"{chr(ord('a') + place)}" for place in range(self.chains)]
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
            self.at(self.now_s + place * DEFAULTS.block_s / self.chains, lambda place=place: self._block(place))
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
        turns = Turns(name, self.crew, round(TURN_BLOCKS * DEFAULTS.block_s * 1e9))
        return Relayer(
            Settings(chains, clients, opens, block_gas=self.gas, turns=turns, stall_s=2 * DEFAULTS.block_s),
            self._ns(),
        )

    def _ns(self) -> int:
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
        self.nodes[place].block(self._ns())
        height = self.nodes[place].chain.height
        for relayer in range(self.relayers):
            self.at(self.now_s + self._way_s(relayer, place), lambda relayer=relayer: self._heard(relayer, place, height))
        self.at(self.now_s + DEFAULTS.block_s, lambda: self._block(place))

    def _heard(self, relayer: int, chain: int, height: int) -> None:
        self.cores[relayer].clock.tell(self._ns())
        self.cores[relayer].announce(self.names[chain], height)
        self._pump(relayer)

    def _tick(self, relayer: int) -> None:
        self.cores[relayer].tick(self._ns())
        self._pump(relayer)
        self.at(self.now_s + TICK_S, lambda: self._tick(relayer))

    def _pump(self, relayer: int) -> None:
        for ticket, calls in self.cores[relayer].take():
            way_s = max(self._way_s(relayer, self.names.index(call.chain)) for call in calls)
            self.at(self.now_s + way_s, lambda ticket=ticket, calls=calls, way_s=way_s: self._call(relayer, ticket, calls, way_s))

    def _call(self, relayer: int, ticket: int, calls: Sequence[Call], way_s: float) -> None:
        try:
            answers: object = [self.nodes[self.names.index(call.chain)].call(call) for call in calls]
        except Unanswered as failure:
            answers = failure

        def answered() -> None:
            self.cores[relayer].clock.tell(self._ns())
            self.cores[relayer].answer(ticket, answers)  # type: ignore[arg-type]
            self._pump(relayer)

        self.at(self.now_s + way_s, answered)

    def is_ready(self) -> bool:
        return all(len(core.network.graph.edges) == 2 * len(self.pairs) for core in self.cores)

    def load(self, messages_per_s: float, mode: Mode, until_s: float) -> None:
        """Each chain sends to each other one in turn, by `mode`, at the same rate."""
        weak = range(self.chains - DEFAULTS.weak, self.chains)
        for source in range(self.chains):
            others = [(source + step) % self.chains for step in range(1, self.chains)]
            ways = cycle([(each, (way(self.pairs, source, each, weak) or []) if mode is Mode.HOP else []) for each in others])
            self.at(self.now_s, lambda source=source, ways=ways: self._send(source, ways, messages_per_s / self.chains, mode, until_s, 0, self.now_s))

    def _send(self, source: int, ways, rate: float, mode: Mode, until_s: float, sent: int, begin_s: float) -> None:
        if self.now_s >= until_s:
            return
        due = int((self.now_s - begin_s + INTERVAL_S) * rate) - sent
        if due:
            node, data = self.nodes[source], TransferData(Denomination("stake"), 1, address("alice"), address("bob"), "")
            payload = Payload("transfer", "transfer", "ics20-1", JSON, data.encode(JSON))
            policy, timeout_s = parse(DEFAULTS.policy).encode(), self._ns() // SECOND_NS + 600
            messages = [
                MsgSend(self.identities[to], "", policy, mode, timeout_s, payload, tuple(self.identities[each] for each in transits), 0, None, address("alice"))
                for to, transits in (next(ways) for _ in range(due))
            ]
            data = signed("alice", messages, node.sequences["alice"], ALICE, gas=GAS * due, chain_id=node.chain_id)
            if not node.chain.submit(data).code:
                node.sequences["alice"] += 1
        self.at(self.now_s + INTERVAL_S, lambda: self._send(source, ways, rate, mode, until_s, sent + due, begin_s))

    def ledger(self) -> Ledger:
        ledger = Ledger(self.cores[0].network.own)
        for name, node in zip(self.names, self.nodes, strict=True):
            for height in range(1, node.chain.height + 1):
                ledger.read(name, node.call(BlockAt(name, height)), node.call(TransactionsAt(name, height)))
        return ledger


TURN_BLOCKS = 20
CONFIRM_S = 20.0


def row(kind: str, rate: float, options: argparse.Namespace) -> None:
    began = time.process_time()
    pairs = hub(options.chains) if kind == "hub" else mesh(options.chains, 4 if options.chains >= 6 else 2)
    net = Net(pairs, options.chains, options.relayers, options.gas)
    net.run(120, net.is_ready)
    ready_s = net.now_s
    begin_s = net.now_s
    net.load(rate, Mode.HOP if kind == "hub" else Mode.E2E, begin_s + LOAD_S)
    net.run(begin_s + LOAD_S)
    net.run(begin_s + LOAD_S + DRAIN_S, lambda: net.now_s > begin_s + LOAD_S + 5 and all(not len(core.jobs) for core in net.cores))
    end_s = net.now_s
    ledger = net.ledger()
    fates = ledger.fates.values()
    window = [GENESIS_NS + round(each * 1e9) for each in (begin_s + WARM_S, begin_s + LOAD_S)]
    delivered = sum(window[0] <= fate.delivered_ns[0] < window[1] for fate in fates if fate.delivered_ns)
    figures = ledger.figures(ledger.acknowledged)
    failed = sum(result.code != 0 for node in net.nodes for result in node.results)
    txs = sum(len(node.results) for node in net.nodes)
    gas = max((sum(r.gas_used for r in node.results), node.name) for node in net.nodes)
    total = sum(r.gas_used for node in net.nodes for r in node.results)
    print(f"{kind:5} {rate:6.1f} {delivered / (LOAD_S - WARM_S):8.2f}/s  p50 {figures.get('p50_ms', 0) / 1e3:7.1f} s  p95 {figures.get('p95_ms', 0) / 1e3:7.1f} s  "
          f"sent {figures['sent']} delivered {figures['delivered']} stuck {figures['stuck']} lost {figures['lost']} dup {figures['duplicated']} viol {len(list(ledger.violations()))} "
          f"top {figures.get('top_transit_share')} hops {figures.get('mean_hops')} ready {ready_s:.0f} end {end_s-begin_s:.0f} txs {txs} failed {failed} top gas {gas[0]/1e6:.1f}M {gas[1]} all {total/1e6:.0f}M cpu {time.process_time() - began:.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chains", type=int, default=12)
    parser.add_argument("--relayers", type=int, default=6)
    parser.add_argument("--gas", type=int, default=500_000)
    parser.add_argument("--loads", type=float, nargs="+", default=[1, 2, 3, 4, 6, 8, 12, 16])
    parser.add_argument("--kinds", nargs="+", default=["hub", "e2e"])
    options = parser.parse_args()
    collect_rarely()
    for rate in options.loads:
        for kind in options.kinds:
            row(kind, rate, options)


if __name__ == "__main__":
    main()

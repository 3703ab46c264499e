"""Chains in memory, relayers that are killed and started again, and calls between them that may be lost."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from emulator.sdk.disk import MemoryDisk
from nodes.ibc.chain.chain import Limits
from nodes.ibc.chain.consensus import Churn
from nodes.ibc.chain.genesis import Settings as ChainTerms
from nodes.ibc.chain.genesis import chain_of, funded, genesis_form, queries_of
from nodes.ibc.chain.parameters import read
from nodes.ibc.chain.results import TxResult
from nodes.ibc.chain.rpc import Methods, RpcError
from nodes.ibc.core import denominations, paths
from nodes.ibc.core.transfer import escrow_account
from nodes.ibc.proto.cosmos import BaseAccount, MsgSend, QueryAccountRequest, QueryAccountResponse
from nodes.ibc.proto.cosmos_base import Coin
from nodes.ibc.proto.transfer import MsgTransfer
from nodes.ibc.proto.wire import Message
from nodes.ibc.relayer.calls import Ask, Call, Unanswered
from nodes.ibc.relayer.core import ChainSettings, Relayer, Settings
from nodes.ibc.relayer.dialect import answer, requests
from nodes.ibc.relayer.opening import ClientTerms
from nodes.ibc.relayer.paths import read as read_path
from nodes.ibc.relayer.signer import Terms
from tests.support.ibc_chain import FUNDS, GENESIS_NS, SECOND_NS, address, signed

USERS = ("alice", "bob")
KEYS = ("relayer-1", "relayer-2", "relayer-1b")  # relayer-1 may have two
ACCOUNTS = (*USERS, *KEYS)


class Node:
    """A chain that is asked in the words of its RPC."""

    def __init__(self, name: str, **changes: Any) -> None:
        self.name = name
        self.chain_id = f"{name}-1"
        churn, limits = changes.pop("churn", Churn()), changes.pop("limits", Limits())
        balances = funded((*ACCOUNTS, *changes.pop("keys", ())), "cosmos", {"stake": FUNDS})
        self._terms = ChainTerms(self.chain_id, balances=balances, churn=churn, limits=limits, **changes)
        self._begin()
        self.sequences: Counter[str] = Counter()
        self.results: list[TxResult] = []
        self.events: Counter[str] = Counter()  # by type and sequence, of transactions that succeeded
        self.chain.produce(GENESIS_NS + SECOND_NS)

    def _begin(self) -> None:
        self.chain = chain_of(self._terms, GENESIS_NS)
        form = genesis_form(self._terms, self.chain)
        self.methods = Methods(self.chain, queries_of(self.chain, "stake"), self.name, "tcp://", form)

    def kill(self) -> None:
        """The process is killed and started again: it has its blocks, and what waited for one is lost."""
        ledger = self.chain.ledger
        self._begin()
        for height in range(1, ledger.last + 1):
            entry = ledger[height]
            assert entry is not None
            self.chain.restore(entry.block, entry.commit)
        for name in self.sequences:
            asked = QueryAccountRequest(address(name))
            held = self.call(Ask(self.name, "/cosmos.auth.v1beta1.Query/Account", asked, QueryAccountResponse))
            self.sequences[name] = held.account.opened_as(BaseAccount).sequence

    def block(self, now_ns: int) -> None:
        entry = self.chain.produce(now_ns)
        for result in entry.results:
            self.results.append(result)
            for event in result.events if not result.code else ():
                found = dict(event.attributes)
                if "packet_sequence" in found:
                    source = found.get("packet_source_client") or found.get("packet_src_channel")
                    self.events[f"{event.type} {source} {found['packet_sequence']}"] += 1

    def call(self, call: Call) -> Any:
        replies = []
        for method, params in requests(call):
            found = self.methods.table[method]
            try:
                replies.append({"result": found.answer(**read(found.parameters, params))})
            except RpcError as error:
                replies.append({"error": error.form()})
        return answer(call, replies)

    def transfer(
        self, end: Any, amount: int, denom: str, now_ns: int, timeout_s: int, receiver: str = "bob", memo: str = ""
    ) -> None:
        """Alice sends coins through an end."""
        moment = now_ns // SECOND_NS + timeout_s if end.v2 else now_ns + timeout_s * SECOND_NS
        message = MsgTransfer(
            "transfer", end.channel or end.client, Coin(denom, str(amount)), address("alice"), address(receiver),
            timeout_timestamp=moment, encoding="application/json" if end.v2 else "", memo=memo,
        )  # fmt: skip
        self.send(message)

    def pay(self, name: str, receiver: str, amount: int) -> None:
        """Coins from one account to another one."""
        self.send(MsgSend(address(name), address(receiver), (Coin("stake", str(amount)),)), name=name)

    def send(self, *messages: Message, name: str = "alice") -> None:
        """A transaction of one of the accounts, which no relayer has; each message names its signer."""
        number, sequence = ACCOUNTS.index(name), self.sequences[name]
        data = signed(name, messages, sequence, number, gas=500_000 * len(messages), chain_id=self.chain_id)
        result = self.chain.submit(data)
        assert not result.code, result.log
        self.sequences[name] += 1

    def balance(self, account: bytes, denom: str) -> int:
        context = self.chain.app.context(self.chain.state.stores, self.chain.moment)
        return self.chain.app.bank.balance(context, account, denom)

    def supply(self, denom: str) -> int:
        context = self.chain.app.context(self.chain.state.stores, self.chain.moment)
        return self.chain.app.bank.supply(context, denom)


@dataclass
class World:
    """Two chains or more, and relayers between them."""

    nodes: dict[str, Node]
    paths: tuple[str, ...] = ("a b",)
    relayers: dict[str, Relayer] = field(default_factory=dict)
    disks: dict[str, MemoryDisk] = field(default_factory=dict)
    now_ns: int = GENESIS_NS + 2 * SECOND_NS
    cut: set[str] = field(default_factory=set)  # chains that cannot be reached
    open: list[tuple[str, int, tuple[Call, ...]]] = field(default_factory=list)
    keys: dict[str, tuple[str, ...]] = field(default_factory=dict)
    confirm_s: float = 20.0
    trusting_s: float = 14 * 86_400.0

    def settings(self, name: str) -> Settings:
        keys = self.keys.get(name, (name,))
        chains = tuple(
            ChainSettings(node, Terms(node, f"{node}-1", "cosmos", "stake", 0.0, self.confirm_s), keys)
            for node in self.nodes
        )
        terms = ClientTerms(self.trusting_s, 1.5 * self.trusting_s, 40.0)
        return Settings(chains, tuple(map(read_path, self.paths)), terms, name == "relayer-1", clear_blocks=20)

    def start(self, name: str) -> None:
        """Start a relayer, or kill it and start it again from its disk."""
        disk = self.disks.setdefault(name, MemoryDisk())
        self.open = [each for each in self.open if each[0] != name]
        self.relayers[name] = Relayer(self.settings(name), disk, self.now_ns)
        self.pump(name)

    def pump(self, name: str) -> None:
        """Keep what a relayer wants kept, then take its calls."""
        records, calls = self.relayers[name].book.take(), self.relayers[name].take()
        self.disks[name].apply(records)
        self.open += [(name, ticket, each) for ticket, each in calls]

    def serve(self, place: int = 0, *, lose: str = "") -> None:
        """Make one set of calls; `lose` the "request" or the "answer"."""
        name, ticket, calls = self.open.pop(place)
        answers: Any = []
        try:
            for call in calls:
                if call.chain in self.cut or lose == "request":
                    raise Unanswered(f"{call.chain} cannot be reached")
                answers.append(self.nodes[call.chain].call(call))
            if lose:
                raise Unanswered("the answer was lost")
        except Unanswered as failure:
            answers = failure
        self.relayers[name].answer(ticket, answers)
        self.pump(name)

    def settle(self, most: int = 2000) -> None:
        """Make all calls, and those that follow from them."""
        for _ in range(most):
            if not self.open:
                return
            self.serve()
        raise AssertionError("calls without end")

    def tick(self, seconds: float = 1.0) -> None:
        self.now_ns += round(seconds * SECOND_NS)
        for name in self.relayers:
            self.relayers[name].tick(self.now_ns)
            self.pump(name)

    def block(self, node: str) -> None:
        self.nodes[node].block(self.now_ns)
        if node not in self.cut:
            for name in self.relayers:
                self.relayers[name].announce(node, self.nodes[node].chain.height)
                self.pump(name)

    def step(self) -> None:
        """A second with a block on each chain, all calls made."""
        self.tick()
        for node in self.nodes:
            self.block(node)
        self.settle()

    def run(self, seconds: int) -> None:
        for _ in range(seconds):
            self.step()

    def until(self, done: Any, most: int = 200) -> int:
        """Steps until something holds; how many."""
        for count in range(most):
            if done():
                return count
            self.step()
        raise AssertionError("it did not come about")

    def relay_all(self, most: int = 200) -> int:
        """Steps until nothing is in flight, after a block with what was sent."""
        self.step()
        return self.until(lambda: not self.committed(), most)

    def ends(self, path: str = "") -> tuple[Any, Any]:
        opened = self.relayers["relayer-1"].opened
        return opened[path or next(iter(opened))].ends

    def is_open(self) -> bool:
        return all(len(each.opened) == len(self.paths) for each in self.relayers.values())

    def committed(self) -> int:
        """Packets that some chain still has a commitment of."""
        count = 0
        for opened in self.relayers["relayer-1"].opened.values():
            for end in opened.ends:
                v1 = paths.packet_commitments(end.port, end.channel)
                prefix = paths.packet_commitments_v2(end.client) if end.v2 else v1
                count += sum(1 for _ in self.nodes[end.chain].chain.state.stores["ibc"].iterate(prefix))
        return count

    def check_escrow(self, ends: tuple[Any, Any]) -> None:
        """With nothing in flight, what is in escrow is what vouchers there are."""
        for here, there in (ends, ends[::-1]):
            node, other = self.nodes[here.chain], self.nodes[there.chain]
            port, name = "transfer", here.channel or here.client
            escrow = node.balance(escrow_account(port, name), "stake")
            path = denominations.Denomination("stake").through("transfer", there.channel or there.client)
            assert escrow == other.supply(path.local), (escrow, path)

"""Transfers between two chains, and the audit of what became of them.

`Load` sends ICS-20 transfers from the chain of its node at a rate; events: `load` (`sent`, `refused`). `Audit` reads
every block of both chains at the end; event: `audit`, with what `analysis` makes figures of.

Invariant: the audit rests on what the chains say, on nothing that a relayer says.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, TypeVar

from emulator.model.errors import Unfit
from emulator.model.units import Duration
from emulator.sdk.node import Node
from nodes.ibc.chain.bech32 import encode
from nodes.ibc.chain.keys import AccountKey
from nodes.ibc.core.denominations import Denomination
from nodes.ibc.core.transfer import PORT, escrow_account
from nodes.ibc.proto import cosmos
from nodes.ibc.proto.cosmos_base import Coin
from nodes.ibc.proto.transfer import MsgTransfer
from nodes.ibc.proto.well_known import Any as Wrapped
from nodes.ibc.relayer.calls import Ask, BlockAt, Broadcast, Flow, StatusOf, Unanswered, Wait, opened
from nodes.ibc.relayer.clock import Clock
from nodes.ibc.relayer.events import PacketSeen, read
from nodes.ibc.relayer.follow import Followed
from nodes.ibc.relayer.handshake import find_v1
from nodes.ibc.relayer.opening import Side, find_v2
from nodes.ibc.relayer.packets import End, Happened
from nodes.ibc.relayer.paths import read as read_path
from nodes.ibc.relayer.rpc import Connection
from nodes.ibc.relayer.signer import Signer, Terms

T = TypeVar("T")
_GAS = 150_000  # of a transfer; 76,000 are used
_MOST_MESSAGES = 50  # of a transaction
_INTERVAL_S = 0.5  # between transactions
_BATCH = 20  # blocks that the audit asks for at once


class Ends(Node):
    """A program that speaks with both chains of a path, and finds the path's ends."""

    @dataclass(frozen=True, slots=True)
    class Config:
        path: str = "a-0 b-0"
        port: int = 26657
        prefix: str = "cosmos"
        denom: str = "stake"

    config: Config

    async def setup(self) -> None:
        self.path = read_path(self.config.path)
        everybody = {**self.context.peers, self.context.name: self.context.address}
        self.connections = {}
        for name in (self.path.a, self.path.b):
            if name not in everybody:
                raise Unfit(f"chain {name!r} of path {self.config.path!r}", "a node of the run")
            url = f"http://{everybody[name].ipv4}:{self.config.port}"
            self.connections[name] = Connection(name, url, lambda height: None)
            self.context.exit_stack.push_async_callback(self.connections[name].close)

    async def ask(self, *calls: Any) -> list[Any]:
        """The answers of one chain, as soon as it can be reached."""
        while True:
            try:
                return await self.connections[calls[0].chain].call(calls)
            except Unanswered:
                await self.context.sleep(_INTERVAL_S)

    async def follow(self, flow: Flow[T]) -> T:
        """Carry out a procedure of the relayer's that only asks."""
        answers: Any = None
        while True:
            try:
                need = flow.send(answers)
            except StopIteration as end:
                result: T = end.value
                return result
            assert not isinstance(need, Wait)
            answers = await self.ask(*need)

    async def find(self) -> tuple[End, End]:
        """The ends of the path, once a relayer has opened it."""
        sides = []
        for name in (self.path.a, self.path.b):
            (status,) = await self.ask(StatusOf(name))
            clock = Clock()
            followed = Followed(name, status.height, clock, lambda *_: None, lambda *_: None)
            followed.chain_id = status.chain_id
            terms = Terms(name, status.chain_id, self.config.prefix, self.config.denom, 0.0, 0.0)
            sides.append(Side(followed, Signer(terms, (), clock)))
        a, b = sides
        while True:
            try:
                found = await self.follow(find_v1(a, b, self.path) if self.path.port else find_v2(a, b))
            except Unanswered:
                found = None
            if found is not None:
                return found
            await self.context.sleep(_INTERVAL_S)


class Load(Ends):
    """Transfers from the chain of this node."""

    @dataclass(frozen=True, slots=True)
    class Config(Ends.Config):
        packets_per_second: float = 10.0
        length_s: Duration = 30.0  # from when the path is open
        account: str = "alice"
        receiver: str = "bob"
        timeout_s: Duration = 600.0

    config: Config

    async def setup(self) -> None:
        await super().setup()
        if self.context.name not in self.connections:
            raise Unfit(f"a load on node {self.context.name!r}", f"a chain of path {self.config.path!r}")

    async def run(self) -> None:
        await self.context.until_stopped(self._load())

    async def _load(self) -> None:
        ends = await self.find()
        here = next(end for end in ends if end.chain == self.context.name)
        self._key = AccountKey.named(self.config.account)
        self._address = encode(self.config.prefix, self._key.address)
        (status,) = await self.ask(StatusOf(here.chain))
        begin_s, sent, refused = self.context.now(), 0, 0
        number, sequence = await self._account(here.chain)
        while (elapsed_s := self.context.now() - begin_s) < self.config.length_s:
            due = int((elapsed_s + _INTERVAL_S) * self.config.packets_per_second) - sent - refused
            count = min(due, _MOST_MESSAGES)
            if count > 0:
                data = self._transaction(here, status.chain_id, number, sequence, count)
                (admission,) = await self.ask(Broadcast(here.chain, data))
                if admission.code:
                    refused += count
                    number, sequence = await self._account(here.chain)
                else:
                    sent, sequence = sent + count, sequence + 1
            if count == due:
                await self.context.sleep(_INTERVAL_S)
        self.context.emit("load", sent=sent, refused=refused, begin_s=begin_s, end_s=self.context.now())
        await self.context.stopping.wait()

    async def _account(self, chain: str) -> tuple[int, int]:
        path = "/cosmos.auth.v1beta1.Query/Account"
        (found,) = await self.ask(
            Ask(chain, path, cosmos.QueryAccountRequest(self._address), cosmos.QueryAccountResponse)
        )
        held = opened(found.account, cosmos.BaseAccount)
        return held.account_number, held.sequence

    def _transaction(self, end: End, chain_id: str, number: int, sequence: int, count: int) -> bytes:
        config = self.config
        late_ns = time.time_ns() + round(config.timeout_s * 1e9)
        message = MsgTransfer(
            source_port=PORT,
            source_channel=end.channel or end.client,
            token=Coin(config.denom, "1"),
            sender=self._address,
            receiver=encode(config.prefix, AccountKey.named(config.receiver).address),
            timeout_timestamp=late_ns // 10**9 if end.v2 else late_ns,
            encoding="application/json" if end.v2 else "",
        )
        body = cosmos.TxBody((Wrapped.of(message),) * count).encode()
        mode = cosmos.ModeInfo(cosmos.ModeInfoSingle(cosmos.SignMode.DIRECT))
        info = cosmos.SignerInfo(Wrapped.of(cosmos.Secp256k1PubKey(self._key.public)), mode, sequence)
        auth = cosmos.AuthInfo((info,), cosmos.Fee((), _GAS * count)).encode()
        document = cosmos.SignDoc(body, auth, chain_id, number).encode()
        return cosmos.TxRaw(body, auth, (self._key.sign(document),)).encode()


class Audit(Ends):
    """What the chains say at the end."""

    @dataclass(frozen=True, slots=True)
    class Config(Ends.Config):
        at_s: Duration = 40.0  # scenario time
        wait_s: Duration = 10.0  # for packets that are still on the way then

    config: Config

    async def run(self) -> None:
        await self.context.until_stopped(self._audit())

    async def _audit(self) -> None:
        ends = await self.find()  # now, as a channel may be closed later
        await self.context.sleep_until(self.config.at_s)
        self._counts: Counter[tuple[str, str, int]] = Counter()  # packets by what happened, source and sequence
        self._times_ns: list[int] = []  # of blocks in which a packet was sent or settled
        self._read_to = {end.chain: 0 for end in ends}
        while True:
            await self._read(ends)
            sent, settled, timed_out = self._packets("SEND"), self._packets("SETTLE"), self._packets("TIMEOUT")
            stuck = sent - settled - timed_out
            if not stuck or self.context.now() >= self.config.at_s + self.config.wait_s:
                break
            await self.context.sleep(_INTERVAL_S)
        await self._read(ends)  # what was settled on one chain was received on the other one before
        received = self._packets("RECEIVE")
        escrows = [await self._escrow(here, there) for here, there in (ends, ends[::-1])]
        in_flight = [sum(chain == end.chain for chain, _ in stuck - received) for end in ends]
        self.context.emit(
            "audit",
            sent=len(sent),
            received=len(received),
            acknowledged=len(settled),
            timed_out=len(timed_out),
            duplicated=sum(count - 1 for count in self._counts.values()) + len(received & timed_out),
            stuck=len(stuck),
            lost=len(settled - received),
            busy_s=(max(self._times_ns) - min(self._times_ns)) / 1e9 if self._times_ns else 0.0,
            escrow_errors=sum(
                escrow != vouchers + flying for (escrow, vouchers), flying in zip(escrows, in_flight, strict=True)
            ),
        )
        await self.context.stopping.wait()

    def _packets(self, what: str) -> set[tuple[str, int]]:
        """Packets, by source and sequence, to which this has happened."""
        return {packet[1:] for packet in self._counts if packet[0] == what}

    async def _read(self, ends: tuple[End, End]) -> None:
        """Read the blocks of both chains that were made since the last time."""
        for end, other in (ends, ends[::-1]):
            (status,) = await self.ask(StatusOf(end.chain))
            for first in range(self._read_to[end.chain] + 1, status.height + 1, _BATCH):
                heights = range(first, min(first + _BATCH, status.height + 1))
                for block in await self.ask(*(BlockAt(end.chain, height) for height in heights)):
                    for seen in read(block):
                        if isinstance(seen, PacketSeen) and seen.happened is not Happened.ANSWER:
                            at_source = seen.happened is not Happened.RECEIVE
                            kind = "TIMEOUT" if seen.timed_out else seen.happened.name
                            self._counts[kind, (end if at_source else other).chain, seen.sequence] += 1
                            if at_source:
                                self._times_ns.append(block.time_ns)
            self._read_to[end.chain] = status.height

    async def _escrow(self, here: End, there: End) -> tuple[int, int]:
        """What is in escrow at an end, and how many vouchers of it the other chain has; each packet carries 1."""
        denom = self.config.denom
        account = encode(self.config.prefix, escrow_account(PORT, here.channel or here.client))
        voucher = Denomination(denom).through(PORT, there.channel or there.client).local
        bank = "/cosmos.bank.v1beta1.Query"
        balance = cosmos.QueryBalanceRequest(account, denom)
        (held,) = await self.ask(Ask(here.chain, f"{bank}/Balance", balance, cosmos.QueryBalanceResponse))
        asked = cosmos.QuerySupplyOfRequest(voucher)
        (supply,) = await self.ask(Ask(there.chain, f"{bank}/SupplyOf", asked, cosmos.QuerySupplyOfResponse))
        return int(held.balance.amount), int(supply.amount.amount)

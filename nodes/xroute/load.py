"""Messages from the chain of a node to other chains: transfers of one coin each, by a policy, at a steady rate.

Event: `load` (`sent`, `refused`: or without an answer, `begin_s`, `end_s`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from math import inf
from typing import Any

from emulator.model.errors import Unfit
from emulator.model.units import Duration
from emulator.sdk.node import Node
from nodes.ibc.chain.bech32 import encode
from nodes.ibc.chain.keys import AccountKey
from nodes.ibc.chain.transactions import signed_transaction
from nodes.ibc.core.denominations import Denomination
from nodes.ibc.core.transfer import PORT, VERSION
from nodes.ibc.core.transfer_data import JSON, TransferData
from nodes.ibc.proto import cosmos
from nodes.ibc.proto.channel_v2 import Payload
from nodes.ibc.relayer.calls import Ask, Broadcast, Unanswered, opened
from nodes.ibc.relayer.rpc import Connection, chain_id_of
from nodes.xroute.anchors import identity_at
from nodes.xroute.module.messages import MsgSend
from nodes.xroute.policy.parser import parse
from nodes.xroute.policy.terms import PolicyError
from nodes.xroute.proofs.messages import Mode

__all__ = ["Load"]

MODES = {mode.word: mode for mode in Mode if mode is not Mode.UNSPECIFIED}
GAS = 65_000  # of a message; 52,000 used
_MOST_MESSAGES = 50  # of a transaction
INTERVAL_S = 0.5  # between transactions


class Load(Node):
    """One sender, on the node of its chain."""

    protocol = "nodes.xroute.protocol:PROTOCOL"

    @dataclass(frozen=True, slots=True)
    class Config:
        to: tuple[str, ...] = ()  # nodes of the chains that messages go to, in turn; "d-0 via b-0 c-0" in mode hop
        policy: str = "xroute/1"
        mode: str = "e2e"
        messages_per_second: float = 5.0
        start_s: Duration = 0.0  # scenario time
        stop_s: Duration = inf
        timeout_s: Duration = 600.0
        account: str = "alice"
        receiver: str = "bob"
        port: int = 26657
        prefix: str = "cosmos"
        denom: str = "stake"

    config: Config

    async def setup(self) -> None:
        config, context = self.config, self.context
        if config.mode not in MODES:
            raise Unfit(f"mode {config.mode!r}", f"one of {', '.join(MODES)}")
        try:
            self._policy = parse(config.policy).encode()
        except PolicyError as error:
            raise Unfit(f"policy: {error}", "a policy") from None
        if not config.to:
            raise Unfit("no `to`", "nodes of the chains that messages go to")
        self._ways = [_way(words) for words in config.to]
        names = {context.name, *(name for way in self._ways for name in way)}
        if unknown := names - {context.name, *context.peers}:
            raise Unfit(f"chains {', '.join(sorted(unknown))}", "nodes of the run")
        self._connections = {
            name: Connection(name, f"http://{self._host(name)}:{config.port}", lambda height: None) for name in names
        }
        for connection in self._connections.values():
            context.exit_stack.push_async_callback(connection.close)
        self._key = AccountKey.named(config.account)
        self._address = encode(config.prefix, self._key.address)
        self._receiver = encode(config.prefix, AccountKey.named(config.receiver).address)

    def _host(self, name: str) -> str:
        return "127.0.0.1" if name == self.context.name else str(self.context.peers[name].ipv4)

    async def run(self) -> None:
        await self.context.until_stopped(self._load())

    async def _load(self) -> None:
        config, context = self.config, self.context
        identities = {name: await identity_at(each) for name, each in self._connections.items()}
        chain_id = await chain_id_of(self._connections[context.name])
        await context.sleep_until(config.start_s)
        number, sequence = await self._account()
        ways, begin_s, sent, refused = cycle(self._ways), context.now(), 0, 0
        while (now_s := context.now()) < config.stop_s:
            due = int((now_s - begin_s + INTERVAL_S) * config.messages_per_second) - sent - refused
            count = min(due, _MOST_MESSAGES)
            if count > 0:
                messages = [self._message(next(ways), identities) for _ in range(count)]
                fee = cosmos.Fee((), GAS * count)
                data = signed_transaction(self._key, messages, chain_id, number, sequence, fee)
                if await self._is_admitted(data):
                    sent, sequence = sent + count, sequence + 1
                else:
                    refused += count
                    number, sequence = await self._account()
            if count == due:
                await context.sleep(INTERVAL_S)
        context.emit("load", sent=sent, refused=refused, begin_s=begin_s, end_s=context.now())
        await context.stopping.wait()

    async def _is_admitted(self, data: bytes) -> bool:
        """Whether the mempool took a transaction; False, too, where the chain does not answer."""
        try:
            (admission,) = await self._connections[self.context.name].call([Broadcast(self.context.name, data)])
        except Unanswered:
            return False
        return not admission.code

    async def _account(self) -> tuple[int, int]:
        """The account's number and next sequence, once the chain answers."""
        question = cosmos.QueryAccountRequest(self._address)
        ask = Ask(self.context.name, "/cosmos.auth.v1beta1.Query/Account", question, cosmos.QueryAccountResponse)
        while True:
            try:
                (found,) = await self._connections[self.context.name].call([ask])
            except Unanswered:
                await self.context.sleep(INTERVAL_S)
                continue
            held = opened(found.account, cosmos.BaseAccount)
            return held.account_number, held.sequence

    def _message(self, way: Sequence[str], identities: dict[str, Any]) -> MsgSend:
        data = TransferData(Denomination(self.config.denom), 1, self._address, self._receiver, "")
        destination, *transits = way
        return MsgSend(
            destination=identities[destination],
            policy=self._policy,
            mode=MODES[self.config.mode],
            timeout_timestamp=round(time.time() + self.config.timeout_s),
            payload=Payload(PORT, PORT, VERSION, JSON, data.encode(JSON)),
            transits=tuple(identities[name] for name in transits),
            signer=self._address,
        )


def _way(words: str) -> list[str]:
    """The destination, then the transits from the source on, of an entry of `to`."""
    to, *via = words.split()
    if via and (via[0] != "via" or len(via) < 2):
        raise Unfit(f"to {words!r}", 'a node, or "NODE via NODE …"')
    return [to, *via[1:]]

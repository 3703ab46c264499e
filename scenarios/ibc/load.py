"""Transfers from the chain of a node to the others, over one hop or, by packet forwarding, over several.

Event: `load` (`sent` transfers, `refused`, `begin_s`, `end_s`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, pairwise
from math import inf

from emulator.model.errors import Unfit
from emulator.model.units import Duration
from nodes.ibc.chain.bech32 import encode
from nodes.ibc.chain.keys import AccountKey
from nodes.ibc.chain.transactions import signed_transaction
from nodes.ibc.core.transfer import PORT
from nodes.ibc.proto import cosmos
from nodes.ibc.proto.cosmos_base import Coin
from nodes.ibc.proto.transfer import MsgTransfer
from nodes.ibc.relayer.calls import Ask, Broadcast, StatusOf, opened
from nodes.ibc.relayer.packets import End
from scenarios.ibc.ends import Ends

_GAS = 150_000  # of a transfer; 76,000 are used
_INTERVAL_S = 0.5  # between transactions


class Load(Ends):
    """Each transfer takes 1 of `denom` from `account`. The paths lead along a row of chains, and every chain that has a
    load sends to all that are at most `hops` away, as often to each."""

    @dataclass(frozen=True, slots=True)
    class Config(Ends.Config):
        packets_per_second: float = 20.0  # of all chains together; a transfer is a packet on each hop
        hops: int = 1
        transfers_per_transaction: int = 50  # at most: fewer where fewer are due
        stop_s: Duration = inf  # scenario time
        account: str = "alice"
        receiver: str = "bob"
        timeout_s: Duration = 600.0

    config: Config

    async def setup(self) -> None:
        await super().setup()
        if any(left.b != right.a for left, right in pairwise(self.paths)):
            raise Unfit(f"paths {', '.join(self.config.paths)}", "a row: each begins where the one before it ends")
        if self.context.name not in self.connections:
            raise Unfit(f"a load on node {self.context.name!r}", "a chain of a path")
        if self.config.hops > 1 and not all(path.port for path in self.paths):
            raise Unfit(f"{self.config.hops} hops by v2", "1, or paths of v1: packets of v2 are not forwarded")
        self._here = list(self.connections).index(self.context.name)
        self._key = AccountKey.named(self.config.account)
        self._address = encode(self.config.prefix, self._key.address)
        self._receiver = encode(self.config.prefix, AccountKey.named(self.config.receiver).address)

    async def run(self) -> None:
        await self.context.until_stopped(self._load())

    async def _load(self) -> None:
        routes = cycle(routes_from(self._here, [await self.find(path) for path in self.paths], self.config.hops))
        rate = self.config.packets_per_second * share(self._here, len(self.connections), self.config.hops)
        chain = self.context.name
        (status,) = await self.ask(StatusOf(chain))
        number, sequence = await self._account()
        begin_s, sent, refused = self.context.now(), 0, 0
        while (now_s := self.context.now()) < self.config.stop_s:
            due = int((now_s - begin_s + _INTERVAL_S) * rate) - sent - refused
            count = min(due, self.config.transfers_per_transaction)
            if count > 0:
                messages = tuple(self._transfer(next(routes)) for _ in range(count))
                data = self._transaction(messages, status.chain_id, number, sequence)
                (admission,) = await self.ask(Broadcast(chain, data))
                if admission.code:
                    refused += count
                    number, sequence = await self._account()
                else:
                    sent, sequence = sent + count, sequence + 1
            if count == due:
                await self.context.sleep(_INTERVAL_S)
        self.context.emit("load", sent=sent, refused=refused, begin_s=begin_s, end_s=self.context.now())
        await self.context.stopping.wait()

    async def _account(self) -> tuple[int, int]:
        request, path = cosmos.QueryAccountRequest(self._address), "/cosmos.auth.v1beta1.Query/Account"
        (found,) = await self.ask(Ask(self.context.name, path, request, cosmos.QueryAccountResponse))
        held = opened(found.account, cosmos.BaseAccount)
        return held.account_number, held.sequence

    def _transfer(self, route: list[End]) -> MsgTransfer:
        first, *rest = route
        late_ns = time.time_ns() + round(self.config.timeout_s * 1e9)
        return MsgTransfer(
            source_port=PORT,
            source_channel=first.channel or first.client,
            token=Coin(self.config.denom, "1"),
            sender=self._address,
            receiver=self._receiver,
            timeout_timestamp=late_ns // 10**9 if first.v2 else late_ns,
            encoding="application/json" if first.v2 else "",
            memo=memo(rest, self._receiver),
        )

    def _transaction(self, messages: tuple[MsgTransfer, ...], chain_id: str, number: int, sequence: int) -> bytes:
        return signed_transaction(self._key, messages, chain_id, number, sequence, cosmos.Fee((), _GAS * len(messages)))


def share(place: int, chains: int, hops: int) -> float:
    """Transfers that the chain at a place of a row begins, for each packet that there is on all hops."""

    def lengths(here: int) -> list[int]:
        return [abs(there - here) for there in range(chains) if 0 < abs(there - here) <= hops]

    return len(lengths(place)) / sum(length for here in range(chains) for length in lengths(here))


def routes_from(place: int, paths: list[tuple[End, End]], hops: int) -> Iterator[list[End]]:
    """For each chain at most so many hops away in a row: the end through which a packet leaves on every hop."""
    right = [a for a, _ in paths[place:]]
    left = [b for _, b in reversed(paths[:place])]
    for ends in (right, left):
        for length in range(1, min(hops, len(ends)) + 1):
            yield ends[:length]


def memo(route: list[End], receiver: str) -> str:
    """The memo that has a transfer forwarded along a route; "" for none."""
    onward: dict[str, object] = {}
    for end in reversed(route):
        hop = {"receiver": receiver, "port": end.port, "channel": end.channel}
        onward = {"forward": hop | ({"next": onward} if onward else {})}
    return json.dumps(onward, separators=(",", ":")) if onward else ""

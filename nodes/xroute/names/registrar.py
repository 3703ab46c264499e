"""The owners of names on a registry: an account and a key for each name, which register it, and renew it once.

Invariant: a record that the registry holds already is not written again, so a registrar that starts anew goes on. No
sockets, as with the relayer's core.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from nodes.ibc.relayer.calls import Block, Blocked, Flow, Unanswered, Wait
from nodes.ibc.relayer.chain_core import ChainCore
from nodes.ibc.relayer.core import ChainSettings
from nodes.ibc.relayer.events import Spent, read
from nodes.ibc.relayer.opening import Side
from nodes.ibc.relayer.signer import Signer
from nodes.xroute.keys import Key
from nodes.xroute.names.labels import parent_of
from nodes.xroute.names.procedures import register
from nodes.xroute.names.record import Record
from nodes.xroute.names.registry import Terms

__all__ = ["Registrar"]

_TERM_S = 7 * 86_400
_RETRY_S = 1.0


class Registrar(ChainCore):
    """The owners of some names."""

    def __init__(
        self, registry: ChainSettings, records: Mapping[str, Record], endpoints: Sequence[str], renew_ns: float,
        now_ns: int,
    ) -> None:  # fmt: skip
        """`records` are by the account that registers each, which its owner's key is called after, too. From `renew_ns`
        on the next versions have the `endpoints`."""
        super().__init__(now_ns)
        self.registered = 0
        self.renewed = 0
        self.notes: list[str] = []  # what a person should know
        self._endpoints = tuple(endpoints)
        self._renew_ns = renew_ns
        self._followed = self.follow(registry.name, 0, self._read, lambda *_: None)
        self._signers = {account: Signer(registry.terms, (account,), self.clock, self._followed) for account in records}
        for account, record in records.items():
            self.tasks.add(f"register {record.name}", self._keep(account, record))
        self.tasks.turn()

    def _keep(self, account: str, record: Record) -> Flow[None]:
        if self.clock.now_ns < self._renew_ns:  # or it starts anew, and would take back what it renewed
            yield from self._written(account, record)
        self.registered += 1
        yield Wait(lambda: False, self._renew_ns)
        yield from self._written(account, replace(record, endpoints=self._endpoints))
        self.renewed += 1

    def _written(self, account: str, record: Record) -> Flow[None]:
        """Write a record until the registry holds it."""
        side, above = Side(self._followed, self._signers[account]), Key.named(parent_of(record.name))
        attempt = partial(register, side, record, _TERM_S, Key.named(account), above, Terms())
        while True:
            try:
                yield from attempt()
                return
            except (Unanswered, Blocked) as failure:
                self.notes.append(f"{record.name}: {failure}")
                yield Wait(lambda: False, self.clock.after_s(_RETRY_S))

    def _read(self, chain: str, block: Block) -> None:
        for seen in read(block):
            if isinstance(seen, Spent):
                for signer in self._signers.values():
                    signer.seen(seen.address, seen.sequence, seen.result)

"""The owners of names on a registry: an account and a key for each name, which register it, and renew it once.

Invariant: a record that the registry holds already is not written again, so a registrar that starts anew goes on. No
sockets, as with the relayer's core.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from nodes.ibc.relayer.calls import Block, Blocked, Call, Flow, Unanswered, Wait
from nodes.ibc.relayer.clock import Clock
from nodes.ibc.relayer.core import ChainSettings
from nodes.ibc.relayer.events import Spent, read
from nodes.ibc.relayer.follow import Followed
from nodes.ibc.relayer.opening import Side
from nodes.ibc.relayer.signer import Signer
from nodes.ibc.relayer.tasks import Tasks
from nodes.xroute.keys import Key
from nodes.xroute.names.labels import parent_of
from nodes.xroute.names.procedures import register
from nodes.xroute.names.record import Record
from nodes.xroute.names.registry import Terms

__all__ = ["Registrar"]

_TERM_S = 7 * 86_400
_RETRY_S = 1.0


class Registrar:
    """Drive it by `tick`, `announce`, `answer`; carry out what `take` gives."""

    def __init__(
        self, registry: ChainSettings, records: Mapping[str, Record], endpoints: Sequence[str], renew_ns: float,
        now_ns: int,
    ) -> None:  # fmt: skip
        """`records` are by the account that registers each, which its owner's key is called after, too. From `renew_ns`
        on the next versions have the `endpoints`."""
        self.clock = Clock(now_ns)
        self.tasks = Tasks(self.clock)
        self.registered = 0
        self.renewed = 0
        self.notes: list[str] = []  # what a person should know
        self._endpoints = tuple(endpoints)
        self._renew_ns = renew_ns
        self._followed = Followed(registry.name, 0, self.clock, self._read, lambda *_: None)
        self._signers = {account: Signer(registry.terms, (account,), self.clock, self._followed) for account in records}
        self.tasks.add("follow", self._followed.run())
        for account, record in records.items():
            self.tasks.add(f"register {record.name}", self._keep(account, record))
        self.tasks.turn()

    def tick(self, now_ns: int) -> None:
        """It is that late."""
        self.clock.tell(now_ns)
        self.tasks.turn()

    def announce(self, chain: str, height: int) -> None:
        """The registry has a new block."""
        self._followed.announce(height)
        self.tasks.turn()

    def answer(self, ticket: int, answers: Sequence[Any] | Unanswered) -> None:
        """The answers to calls, in their order."""
        self.tasks.answer(ticket, answers)
        self.tasks.turn()

    def take(self) -> list[tuple[int, tuple[Call, ...]]]:
        """Calls to make, each set with its ticket."""
        return self.tasks.take()

    @property
    def next_deadline_ns(self) -> float:
        return self.tasks.next_deadline_ns

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

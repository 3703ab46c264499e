"""Validators that send fewer messages than they should, or send them late.

Invariant: the messages that they send are correct, so that no validator has a reason to refuse them.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from nodes.dagbft.byzantine.core import ByzantineCore, Sent
from nodes.dagbft.messages import Batch, BatchReply, Certificate, CertReply, Header, Message, Seal
from nodes.dagbft.primary.core import PrimaryCore
from nodes.dagbft.primary.effects import ALL, Effects
from nodes.dagbft.worker.core import WorkerCore


class Silent(ByzantineCore):
    """Receives, and sends nothing."""

    def outgoing(self, receiver: int, message: Message) -> Iterable[Sent]:
        self.lies += 1
        return ()


class SilentLeader(ByzantineCore):
    """Makes no header in the rounds that it leads."""

    def outgoing(self, receiver: int, message: Message) -> Iterable[Sent]:
        if isinstance(message, Header) and self.core.consensus.rule.leader(message.round) == self.core.me:
            self.lies += 1
            return ()
        return ((receiver, message),)


class CertificateWithholder(ByzantineCore):
    """Sends each certificate to one other validator, in turn, and answers no request for certificates."""

    def outgoing(self, receiver: int, message: Message) -> Iterable[Sent]:
        if isinstance(message, CertReply):
            self.lies += 1
            return ()
        if not isinstance(message, Certificate):
            return ((receiver, message),)
        self.lies += 1
        n = self.core.roster.committee.n
        return (((self.core.me + 1 + message.round % (n - 1)) % n, message),)


class Slow(ByzantineCore):
    """Holds back headers and certificates by `delay_s`, in all rounds or only in those that it leads."""

    def __init__(self, core: PrimaryCore, delay_s: float, *, leading: bool = True) -> None:
        super().__init__(core)
        self.delay_s = delay_s
        self.leading = leading
        self._held: list[tuple[float, int, Sent]] = []

    def outgoing(self, receiver: int, message: Message) -> Iterable[Sent]:
        if not isinstance(message, Header | Certificate) or (
            self.leading and self.core.consensus.rule.leader(message.round) != self.core.me
        ):
            return ((receiver, message),)
        self.lies += 1
        heapq.heappush(self._held, (self.now_s + self.delay_s, self.lies, (receiver, message)))
        return ()

    def take(self) -> Effects:
        effects = super().take()
        while self._held and self._held[0][0] <= self.now_s:
            effects.send.append(heapq.heappop(self._held)[2])
        return effects

    def next_deadline_s(self) -> float:
        return min(self.core.next_deadline_s(), self._held[0][0] if self._held else float("inf"))


class BatchWithholder:
    """Replaces a `WorkerCore`: it reports batches to its primary that it has sent to only `shown` other workers.

    It answers no request for batches, and puts none inside a header.
    """

    def __init__(self, core: WorkerCore, n: int, shown: int = 0) -> None:
        self.core = core
        self.lies = 0
        self._shown = [(core.me + step) % n for step in range(1, n)][:shown]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.core, name)

    def on_primary(self, message: Message, now_s: float) -> None:
        """An order of the own primary."""
        self.core.on_primary(replace(message, inline_bytes=0) if isinstance(message, Seal) else message, now_s)

    def take(self) -> Effects:
        """The effects of the correct worker, without its batches for others."""
        effects = self.core.take()
        sent: list[Sent] = []
        for receiver, message in effects.send:
            if isinstance(message, BatchReply):
                self.lies += 1
            elif isinstance(message, Batch) and receiver == ALL:
                self.lies += 1
                sent += [(other, message) for other in self._shown]
            else:
                sent.append((receiver, message))
        effects.send = sent
        return effects

"""The client of one validator: an open loop of transactions, chains of dependent transactions, and their latencies.

Invariant: the number of outstanding transactions is bounded. A transaction beyond the bound is not sent and is counted
as shed; one that is not answered within the timeout is counted as lost.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from emulator.model.errors import Unfit
from nodes.dagbft.client.chain import CONFIRMS, Chain
from nodes.dagbft.client.load import Load, LoadConfig
from nodes.dagbft.consensus.committee import Committee
from nodes.dagbft.field_types import Cause
from nodes.dagbft.messages import FinalReply, SpecReply, SubmitTx


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """The load, the chains, and the limits of a client."""

    load: LoadConfig = field(default_factory=LoadConfig)
    chains: int = 0  # concurrent chains
    chain_length: int = 10  # links of a chain
    ahead: int = 8  # unconfirmed links of a chain, at most
    confirm: str = "early"
    most_outstanding: int = 50_000
    timeout_s: float = 60.0
    samples: float = 200.0  # transactions a second whose latencies are recorded

    def __post_init__(self) -> None:
        if self.confirm not in CONFIRMS:
            raise Unfit(f"confirm {self.confirm!r}", f"one of {', '.join(CONFIRMS)}")
        for name in ("chain_length", "ahead", "most_outstanding"):
            if getattr(self, name) < 1:
                raise Unfit(f"{name} {getattr(self, name)}", "at least 1")


class Sample(NamedTuple):
    """A latency: `commit_latency_s`, `early_latency_s`, `spec_latency_s` or, of chains, `link_s`."""

    name: str
    value_s: float
    kind: str  # alpha, beta, gamma or chain


@dataclass(slots=True)
class _Sent:
    kind: str
    sent_s: float
    sampled: bool  # whether its latencies are recorded
    chain: Chain | None = None
    early: bool = False  # answered early already


class ClientCore:
    """Call `tick` when the deadline passes and `on_reply` for each reply; `take` returns messages and samples."""

    def __init__(
        self, committee: Committee, me: int, client: int, config: ClientConfig, random: Random, first: int = 0
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._config = config
        self._load = Load(committee, me, client, config.load, random, first)
        self._outstanding: dict[bytes, _Sent] = {}  # in the order of sending
        self._every = max(1, round(config.load.rate / config.samples)) if config.samples else 0
        self._sends: list[SubmitTx] = []
        self._samples: list[Sample] = []
        self._chains: dict[Chain, float] = {}  # when each began
        self._now_s = 0.0  # of the latest input
        self._over = False  # no more chains are begun

    @property
    def outstanding(self) -> int:
        return len(self._outstanding)

    def next_deadline_s(self) -> float:
        """When `tick` has to be called; inf: not before the next reply."""
        due_s = self._load.due_s
        if self._outstanding:
            due_s = min(due_s, next(iter(self._outstanding.values())).sent_s + self._config.timeout_s)
        if len(self._chains) < self._config.chains and not self._over:
            due_s = min(due_s, self._config.load.start_s)
        return due_s

    def tick(self, now_s: float) -> None:
        """Send the transactions that are due; count those whose timeout has passed as lost."""
        config, load = self._config, self._load
        self._now_s = now_s
        self._over = now_s >= config.load.stop_s
        while self._outstanding:
            id, sent = next(iter(self._outstanding.items()))
            if sent.sent_s + config.timeout_s > now_s:
                break
            del self._outstanding[id]
            self._lose(sent, now_s)
        while load.due_s <= now_s:
            due_s = load.due_s
            kind, id, parts = load.arrive()
            if len(self._outstanding) >= config.most_outstanding:
                self.counts["shed"] += 1
                continue
            self.counts["sent"] += 1
            sampled = bool(self._every) and self.counts["sent"] % self._every == 0
            self._outstanding[id] = _Sent(kind, due_s, sampled)
            self._sends += map(SubmitTx, parts)
        if config.load.start_s <= now_s < config.load.stop_s:
            while len(self._chains) < config.chains:
                self._begin_chain(now_s)

    def on_reply(self, reply: SpecReply | FinalReply, now_s: float) -> None:
        """Results. A repeated result, or one of a transaction that is not outstanding, is ignored."""
        self._now_s = now_s
        self._load.round = max(self._load.round, reply.round)
        if isinstance(reply, SpecReply):
            self._load.header = max(self._load.header, reply.round)
            for id, hash in reply.results:
                self._speculated(id, hash, now_s)
        elif reply.cause == Cause.EARLY:
            for id, hash in reply.results:
                self._early(id, hash, now_s)
        else:
            for id, hash in reply.results:
                self._committed(id, hash, now_s)

    def take(self) -> tuple[list[SubmitTx], list[Sample]]:
        """Messages to the worker, and latencies, since the last call."""
        taken = self._sends, self._samples
        self._sends, self._samples = [], []
        return taken

    def _speculated(self, id: bytes, hash: bytes, now_s: float) -> None:
        sent = self._outstanding.get(id)
        if sent is None or sent.chain is None:
            return
        self._sample("spec_latency_s", sent, now_s)
        sent.chain.speculated(id, hash, now_s)

    def _early(self, id: bytes, hash: bytes, now_s: float) -> None:
        sent = self._outstanding.get(id)
        if sent is None or sent.early:
            return
        sent.early = True
        self.counts["early"] += 1
        self._sample("early_latency_s", sent, now_s)
        if sent.chain is not None:
            self._finish(sent.chain, id, hash, True, now_s)

    def _committed(self, id: bytes, hash: bytes, now_s: float) -> None:
        sent = self._outstanding.pop(id, None)
        if sent is None:
            return
        self.counts["committed"] += 1
        self._sample("commit_latency_s", sent, now_s)
        if sent.chain is not None:
            self._finish(sent.chain, id, hash, False, now_s)

    def _sample(self, name: str, sent: _Sent, now_s: float) -> None:
        if sent.sampled:
            self._samples.append(Sample(name, now_s - sent.sent_s, sent.kind))

    def _begin_chain(self, now_s: float) -> None:
        config = self._config

        def send(expected: bytes) -> bytes:
            id, data = self._load.link(expected)
            self._outstanding[id] = _Sent("chain", self._now_s, True, chain)
            self._sends.append(SubmitTx(data))
            return id

        chain = Chain(config.confirm, config.chain_length, config.ahead, send)
        self._chains[chain] = now_s
        chain.advance(now_s)

    def _finish(self, chain: Chain, id: bytes, hash: bytes, early: bool, now_s: float) -> None:
        """Record the final result of a link; if its chain is done, the next chain may begin."""
        if chain not in self._chains:
            return
        chain.finished(id, hash, early, now_s)
        if chain.done:
            began_s = self._end_chain(chain)
            self._samples.append(Sample("link_s", (now_s - began_s) / self._config.chain_length, "chain"))
            self.counts["chains"] += 1

    def _lose(self, sent: _Sent, now_s: float) -> None:
        self.counts["lost"] += 1
        if sent.chain in self._chains and sent.chain is not None:
            self._end_chain(sent.chain)
            self.counts["chains_lost"] += 1

    def _end_chain(self, chain: Chain) -> float:
        for name in ("sends", "wasted", "rollbacks", "confirmed"):
            self.counts[f"chain_{name}"] += getattr(chain, name)
        return self._chains.pop(chain)

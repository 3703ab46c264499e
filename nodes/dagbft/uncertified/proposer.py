"""Own blocks: the time of the next one, its parents and batches, and the return of batches that are never ordered.

Invariant: one block is made in a round, and it is among the records of the effects that send it. Every wait has an end:
with a quorum of blocks of a round, an own block of the next follows within the longest of four delays.
"""

from __future__ import annotations

from nodes.dagbft.consensus.dag import NONE
from nodes.dagbft.field_types import DIGEST_BYTES, SIGNATURE_BYTES
from nodes.dagbft.messages import Header
from nodes.dagbft.primary.effects import ALL
from nodes.dagbft.primary.pace import NEVER
from nodes.dagbft.primary.payload import NO_KEYS, Keys, Name
from nodes.dagbft.primary.proposer import MOST_BATCHES, replace_signature
from nodes.dagbft.primary.records import header_record, no_header_record
from nodes.dagbft.primary.sealing import Sealing
from nodes.dagbft.primary.shared import Signer
from nodes.dagbft.uncertified.dag import Vertex
from nodes.dagbft.uncertified.shared import Shared

SILENT_ROUNDS = 5  # the wait for a leader is skipped if it has sent no block for so many rounds
NO_SUMMARY = bytes(DIGEST_BYTES)  # of written keys: only early finality reads it


def no_keys(inline: bytes) -> Keys:
    """In place of the keys that a batch may write, for the same reason."""
    return NO_KEYS


class BlockProposer:
    """Part of a validator's core, which it sees as `Shared`."""

    def __init__(self, core: Shared, signer: Signer, now_s: float) -> None:
        self.round = 0  # of the last own block
        self.full = 0  # the highest round with blocks of a quorum; genesis has them
        self.sealing = Sealing(core)
        self._core = core
        self._signer = signer
        self._full_s = now_s  # since when
        self._made_s = now_s  # time of the last own block
        self._open: dict[int, tuple[Name, ...]] = {}  # batches of own blocks that are not ordered, by round

    def note(self, round: int, now_s: float) -> bool:
        """A block of this round is in the DAG; whether its round is now the highest with a quorum."""
        dag = self._core.consensus.dag
        if round <= self.full or dag.authors(round) < dag.committee.quorum:
            return False
        self.full, self._full_s = round, now_s
        return True

    @property
    def _may_propose(self) -> bool:
        return self.full >= self.round and self._core.may_propose

    def due_s(self) -> float:
        """When the next block is due, if nothing more happens."""
        core, config = self._core, self._core.config
        if not self._may_propose:
            return NEVER
        due_s = max(self._full_s, self._made_s + config.least_round_s, self.sealing.due_s())
        if self.full:
            dag = core.consensus.dag
            if dag.authors(self.full) < dag.committee.n:
                due_s = max(due_s, self._full_s + config.grace_s)
            if any(self._is_awaited(author) for author in core.consensus.rule.leaders(self.full)):
                due_s = max(due_s, self._made_s + config.leader_timeout_s)
        return due_s

    def _is_awaited(self, leader: int) -> bool:
        """Whether the block of a leader is not here, though it has not been silent for long."""
        if self._core.consensus.dag.at(self.full, leader) or leader in self._core.equivocators:
            return False
        return self._core.newest[leader] >= self.full - SILENT_ROUNDS

    def propose(self, now_s: float) -> None:
        """Make the block that is due, if one is; have its payload sealed as soon as it can be made."""
        if not self._may_propose:
            return
        self.sealing.ask(self.full + 1, now_s)
        if now_s < self.due_s():
            return
        core = self._core
        before, self.round = self.round, self.full + 1
        self._made_s = now_s
        block = self._make(self.round)
        core.effects.persist += [header_record(block), *([no_header_record(before)] if before else [])]
        core.effects.made.append(block)
        core.effects.send.append((ALL, block))
        self._open[self.round] = block.names
        core.deliver(block, now_s)

    def _make(self, round: int) -> Header:
        core = self._core
        shard = core.roster.committee.shard(core.me, round)
        payload, inline = core.payload.take(shard, MOST_BATCHES)
        unsigned = Header(
            epoch=core.roster.epoch,
            author=core.me,
            round=round,
            payload=payload,
            inline=inline,
            parents=tuple(sorted(vertex.digest for vertex in self._parents(round - 1))),
            shard=shard,
            summary=NO_SUMMARY,
            coin_share=b"",
            mode=NONE,
            run=core.roster.run,
            signature=bytes(SIGNATURE_BYTES),
        )
        return replace_signature(unsigned, self._signer.sign(unsigned.id))

    def _parents(self, round: int) -> list[Vertex]:
        """The first block that came of each author; of equivocators only as many as a quorum lacks."""
        core, dag = self._core, self._core.consensus.dag
        held = [dag.at(round, author)[0] for author in range(dag.committee.n) if dag.at(round, author)]
        chosen = [vertex for vertex in held if vertex.author not in core.equivocators]
        spare = [vertex for vertex in held if vertex.author in core.equivocators]
        return chosen + spare[: max(dag.committee.quorum - len(chosen), 0)] if round else []

    def resume(self, last: Header | None, now_s: float) -> None:
        """After a restart: send the last own block again, byte for byte."""
        if last is None:
            return
        self.round, self._made_s = last.round, now_s
        self._core.effects.send.append((ALL, last))

    def reopen(self, block: Header) -> None:
        """Add an own block from before the restart that is not ordered yet."""
        self._open[block.round] = block.names

    def ordered(self, round: int) -> None:
        """The own block of a round was ordered."""
        self._core.payload.ordered(self._open.pop(round, ()))

    def lost(self, floor: int) -> None:
        """Own blocks up to `floor` that are not ordered never will be: their batches wait again."""
        for round in [round for round in self._open if round <= floor]:
            self._core.counts["reinjected"] += self._core.payload.again(self._open.pop(round))

"""The ledger of one validator: executes the events of consensus, answers clients, and checks every early result.

Invariant: every early result is compared with the committed one, and the predicted place of its block in its shard with
the real one. `counts.early_wrong` stays 0 if the rules of early finality are right.

How to drive it: call `on_batch` for each batch that is received, `on_block` for each block before consensus adds it,
and then `on_events` with the events of consensus, even if there are none: waiting transactions may be ready now.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from nodes.dagbft.consensus.committee import Committee
from nodes.dagbft.consensus.core import Commit, Event
from nodes.dagbft.consensus.dag import Block, Slot
from nodes.dagbft.consensus.early import Early
from nodes.dagbft.execution.executor import AppliedBatches, BlockExecution, Committed
from nodes.dagbft.execution.overlay import ForeignReads, Overlay, Pasts
from nodes.dagbft.execution.snapshot import Snapshot, done, pending_rows, restore_pending
from nodes.dagbft.execution.speculation import Speculation
from nodes.dagbft.execution.state import State
from nodes.dagbft.execution.transactions import Ready, prepare, result_hash
from nodes.dagbft.field_types import MOST_RESULTS, Cause
from nodes.dagbft.messages import FinalReply, SpecReply

_REPORTED = {Cause.EARLY: 1, Cause.COMMITTED: 2}
_MISPLACED = -2  # position of a block that was not ordered at its predicted place


@dataclass(slots=True)
class Counts:
    """Counts of one ledger. `early` is `early_ok` + `early_wrong` + `early_unmatched` + those not compared yet."""

    committed: int = 0  # transactions with a final outcome
    early: int = 0  # transactions whose outcome was known before commit
    early_ok: int = 0  # early outcome and final outcome are equal
    early_wrong: int = 0  # they differ, or the block was not ordered at its predicted place
    early_unmatched: int = 0  # the block was never ordered
    early_skipped: int = 0  # early events that do not continue the ledger's chain; their blocks have no early result
    resets: int = 0  # of the overlay: blocks were committed in another order than predicted
    speculative: int = 0  # results reported when a header was made

    def take_over(self, before: Counts) -> None:
        """Add the counts of the ledger that this one replaces. Its open early results are not compared any more."""
        self.early += before.early_ok + before.early_wrong + before.early_unmatched
        for name in ("early_ok", "early_wrong", "early_unmatched", "early_skipped", "resets", "speculative"):
            setattr(self, name, getattr(self, name) + getattr(before, name))


class Ledger:
    """State, overlay and self-check. `look_back` is that of the rules (2 if the order is support-gated).

    `events_emitted` returns how many events consensus has emitted since the ledger began. While the ledger has received
    fewer, `reads` and `pasts` may name slots whose values it lacks, so it does not call them. A snapshot is taken at
    the first leader of each `snapshot_rounds` rounds; 0: never.
    """

    def __init__(
        self,
        committee: Committee,
        me: int,
        look_back: int = 50,
        reads: ForeignReads | None = None,
        pasts: Pasts | None = None,
        events_emitted: Callable[[], int] | None = None,
        snapshot_rounds: int = 0,
    ) -> None:
        self.counts = Counts()
        self.snapshots: list[Snapshot] = []  # taken and not yet stored
        self.digest = bytes(32)  # of all committed outcomes so far: equal on all validators after the same commits
        self.commits = 0  # executed commits
        self.witness: Callable[[BlockExecution, Cause], None] | None = None  # called with blocks with new results
        self._committee = committee
        self._me = me
        self._look_back = look_back
        self._batches: dict[bytes, Ready] = {}
        self._blocks: dict[Slot, BlockExecution] = {}  # whose outcomes are not all final
        self._lacking: dict[bytes, list[BlockExecution]] = {}  # by missing batch: the blocks that need it
        self._events: deque[Event] = deque()
        self._events_emitted = events_emitted
        self._events_received = 0
        self._latest: list[Slot | None] = [None] * committee.n  # by shard: the last committed block
        self.lengths = [0] * committee.n  # by shard: committed blocks
        self._snapshot_rounds = snapshot_rounds
        self._leader = 0  # round of the last leader
        self._committed = Committed(AppliedBatches(committee.n, look_back))
        self.overlay = Overlay(committee.n, self._committed, self._written, reads, pasts)
        self._speculation = Speculation(self._committed, self.overlay)
        self.answers_early = True

    def resume(self, snapshot: Snapshot) -> None:
        """Begin at the snapshot. Blocks above its floor and the following commits are then to be added."""
        committed = self._committed
        self.commits, self._leader, self.digest = snapshot.commits, snapshot.leader, snapshot.digest
        self.counts.committed = snapshot.outcomes
        past = snapshot.past
        self.lengths, self._latest = list(past.lengths), list(past.latest)
        self._blocks = restore_pending(snapshot.waiting, self._committee, committed.locks)
        for slot in snapshot.ordered:
            self._blocks.setdefault(slot, done(slot, self._committee.shard(slot[1], slot[0])))
        committed.values = State.decode(snapshot.state)
        committed.results = dict(snapshot.results)
        committed.applied.resume(snapshot.batches)
        committed.locks.resume(dict(snapshot.closed), {(name, part): round for name, part, round in snapshot.parts})
        self.overlay.reset()

    def _snapshot(self) -> Snapshot:
        committed, locks, floor = self._committed, self._committed.locks, self._leader - self._look_back
        latest = [(0, 0) if slot is None else slot for slot in self._latest]
        return Snapshot(
            commits=self.commits,
            leader=self._leader,
            digest=self.digest,
            outcomes=self.counts.committed,
            shards=tuple((length, *slot) for length, slot in zip(self.lengths, latest, strict=True)),
            ordered=tuple(sorted(slot for slot, each in self._blocks.items() if each.committed and slot[0] > floor)),
            batches=committed.applied.entries(),
            results=tuple(sorted(committed.results.items())),
            closed=tuple(sorted(locks.closed.items())),
            parts=tuple(sorted((name, part, round) for (name, part), round in locks.parts.items())),
            waiting=pending_rows(locks),
            state=committed.values.encode(),
        )

    def stop_early_answers(self) -> None:
        """Send clients no more early results. They are still computed, and compared with the committed ones."""
        self.answers_early = False

    @property
    def state(self) -> dict[int, int]:
        """The committed values by key."""
        return self._committed.values

    @property
    def early_open(self) -> int:
        """Early results that have not been compared yet."""
        counts = self.counts
        return counts.early - counts.early_ok - counts.early_wrong - counts.early_unmatched

    def write_keys(self, digest: bytes) -> frozenset[int]:
        """The keys that a batch may write. KeyError if the batch has not been received."""
        return self._batches[digest].written

    def home(self, digest: bytes) -> int:
        """The shard of a batch; -1 if it has transactions of several. KeyError if it has not been received."""
        return self._batches[digest].shard

    def missing(self) -> list[bytes]:
        """The batches without which the next event cannot be executed."""
        if not self._events or not isinstance(event := self._events[0], Commit):
            return []
        return [digest for slot in event.blocks for digest in self._absent(self._blocks[slot])]

    def on_batch(self, digest: bytes, body: bytes) -> list[FinalReply]:
        """Add a batch."""
        if digest not in self._batches:
            self._batches[digest] = prepare(body)
        for execution in self._lacking.pop(digest, ()):
            self._attach(execution)
        return self.on_events(()) if self._events else []

    def forget(self, digests: Iterable[bytes]) -> None:
        """Drop batches that no later block will contain."""
        for digest in digests:
            if digest not in self._lacking:
                self._batches.pop(digest, None)

    def on_block(self, block: Block, payload: Sequence[bytes], inline: bytes = b"") -> None:
        """Add a certified block with the digests of its batches; `inline` is the body of the last one, if not empty.

        A block that was added before changes nothing.
        """
        if block.slot not in self._blocks:
            execution = self._execution(block, payload, inline)
            self._blocks[block.slot] = execution
            self._attach(execution)

    def on_header(self, block: Block, payload: Sequence[bytes], inline: bytes = b"") -> list[SpecReply]:
        """The speculative results of the chained transactions of an own header, which was just made.

        There is always at least one reply, if an empty one: clients target the shard of the next header.
        """
        execution = self._execution(block, payload, inline)
        execution.batches = [self._batches[digest] for digest in execution.named if digest in self._batches]
        if execution.inline is not None:
            execution.batches.append(execution.inline)
        if not any(batch.chained for batch in execution.batches):
            return [SpecReply(block.round, block.author, ())]
        below = [
            other
            for round in range(max(block.round - self._committee.n, 1), block.round)
            if (other := self._blocks.get((round, self._committee.owner(execution.shard, round)))) is not None
            and not other.committed and not other.played and other.batches is not None
        ]  # fmt: skip
        results = self._speculation.results(execution, below)
        self.counts.speculative += len(results)
        return [SpecReply(block.round, block.author, part) for part in _parts(results) or [()]]

    def on_events(self, events: Iterable[Event]) -> list[FinalReply]:
        """Execute events up to the first whose batches are missing; returns replies to the clients of own blocks."""
        before = len(self._events)
        self._events.extend(events)
        self._events_received += len(self._events) - before
        overlay = self.overlay
        replies: list[FinalReply] = []
        overlay.in_step = False
        while self._events:
            event = self._events[0]
            if isinstance(event, Commit):
                if any(self._blocks[slot].batches is None for slot in event.blocks):
                    break
                replies += self._commit(event)
            else:
                self._early(event)
            self._events.popleft()
        if not self._events and (self._events_emitted is None or self._events_emitted() == self._events_received):
            overlay.in_step = True
            overlay.advance()
            overlay.in_step = False
        return self._early_replies() + replies

    def _execution(self, block: Block, payload: Sequence[bytes], inline: bytes) -> BlockExecution:
        shard = self._committee.shard(block.author, block.round)
        return BlockExecution(block, shard, tuple(payload), prepare(inline) if inline else None)

    def _attach(self, execution: BlockExecution) -> None:
        """Attach its batches to a block, or register it for the missing ones."""
        absent = self._absent(execution)
        for digest in absent:
            blocks = self._lacking.setdefault(digest, [])
            if execution not in blocks:
                blocks.append(execution)
        if not absent:
            execution.batches = [self._batches[digest] for digest in execution.named]
            if execution.inline is not None:
                execution.batches.append(execution.inline)
            if execution.position >= 0:
                self.overlay.advance_chain(execution.shard)

    def _absent(self, execution: BlockExecution) -> list[bytes]:
        return [] if execution.batches is not None else [each for each in execution.named if each not in self._batches]

    def _written(self, round: int, author: int) -> frozenset[int] | None:
        """The keys that a block may write; None if that is not known (rule T2)."""
        execution = self._blocks.get((round, author))
        if execution is None or execution.batches is None:
            return None
        return frozenset().union(*[batch.written for batch in execution.batches])

    def _early(self, event: Early) -> None:
        execution = self._blocks[event.block]
        chain = self.overlay.chains[event.shard]
        if execution.committed or event.after != (chain[-1].slot if chain else self._latest[event.shard]):
            self.counts.early_skipped += 1
            return
        execution.position = event.position
        self.overlay.append(execution)

    def _commit(self, commit: Commit) -> list[FinalReply]:
        """Execute the blocks of a commit, compare early outcomes, and update the overlay."""
        touched: dict[BlockExecution, None] = {}
        for slot in commit.blocks:
            execution = self._blocks[slot]
            if not execution.committed:
                self._commit_block(execution)
                touched[execution] = None
                self._settle(execution, touched)
        floor = commit.leader[0] - self._look_back
        self._committed.expire(floor)
        self._settle(None, touched)
        self.commits = commit.number + 1
        self._lose(floor)
        before, self._leader = self._leader, commit.leader[0]
        if (every := self._snapshot_rounds) and before // every < self._leader // every:
            self.snapshots.append(self._snapshot())
        return [reply for execution in touched for reply in self._replies(execution, Cause.COMMITTED)]

    def _commit_block(self, execution: BlockExecution) -> None:
        shard = execution.shard
        chain = self.overlay.chains[shard]
        if chain and chain[0] is not execution:
            self.counts.resets += 1
            self.overlay.reset()
        self._committed.play(execution)
        execution.committed = True
        execution.place = self.lengths[shard]
        rows = len(execution.final)
        if not execution.early:
            execution.early = [None] * rows
        if chain and chain[0] is execution:
            self.overlay.pop(execution)
        if execution.position >= 0 and execution.position != execution.place:
            execution.position = _MISPLACED
        self._compare(execution, range(rows))
        self._latest[shard] = execution.slot
        self.lengths[shard] += 1
        self._note(repr((execution.slot, execution.final)))
        for digest in execution.payload:
            if digest not in self._lacking:
                self._batches.pop(digest, None)

    def _settle(self, current: BlockExecution | None, touched: dict[BlockExecution, None]) -> None:
        """Pass rows of the committed state that have finished, and those that now wait, to the overlay."""
        overlay, committed = self.overlay, self._committed
        finished, committed.finished = committed.finished, []
        if current is not None:
            mine = []  # requests of the current block: the last ones in the queue
            for request in reversed(committed.locks.requests):
                if request.block is not current:
                    break
                mine.append(request)
            for request in reversed(mine):
                if current.early[request.index] is None:
                    overlay.adopt(request)
        for execution, index in finished:
            if execution is not current:
                self._compare(execution, (index,))
                self._note(repr((execution.slot, index, execution.final[index])))
                touched[execution] = None
        if current is not None:
            plain = [index for index in current.requests if current.final[index] is not None]
            finished += [(current, index) for index in plain if (current, index) not in finished]
        overlay.settle(finished)
        if current is not None:
            overlay.advance_chain(current.shard)

    def _compare(self, execution: BlockExecution, indexes: Sequence[int]) -> None:
        """Compare early and final outcomes of rows that have become final."""
        counts, early, final = self.counts, execution.early, execution.final
        misplaced = execution.position == _MISPLACED
        if len(indexes) == len(final) and None not in early and None not in final and not misplaced and early == final:
            counts.committed += len(final)
            counts.early_ok += len(final)
            return
        for index in indexes:
            outcome, foretold = final[index], early[index]
            if outcome is None:
                continue
            counts.committed += 1
            if foretold is not None:
                if foretold == outcome and not misplaced:
                    counts.early_ok += 1
                else:
                    counts.early_wrong += 1

    def _note(self, text: str) -> None:
        self.digest = blake2b(self.digest + text.encode(), digest_size=32).digest()

    def _lose(self, floor: int) -> None:
        """Drop blocks whose outcomes are all final, and blocks that will never be ordered."""
        for slot in [slot for slot in self._blocks if slot[0] <= floor]:
            execution = self._blocks[slot]
            if execution.committed and None in execution.final:
                continue
            del self._blocks[slot]
            if not execution.committed:
                self.counts.early_unmatched += sum(outcome is not None for outcome in execution.early)

    def _early_replies(self) -> list[FinalReply]:
        """Count new early outcomes; returns the replies to clients of own blocks."""
        news, self.overlay.news = self.overlay.news, {}
        replies: list[FinalReply] = []
        for execution in news:
            known = len(execution.early) - execution.early.count(None)
            self.counts.early += known - execution.counted
            execution.counted = known
            if self.answers_early:
                replies += self._replies(execution, Cause.EARLY)
        return replies

    def _replies(self, execution: BlockExecution, cause: Cause) -> list[FinalReply]:
        """The results of an own block that have not been reported to its clients."""
        if self.witness is not None:
            self.witness(execution, cause)
        round, author = execution.slot
        if author != self._me or execution.batches is None:
            return []
        outcomes = execution.early if cause == Cause.EARLY else execution.final
        if not execution.reported:
            execution.reported = bytearray(len(outcomes))
        reported, flag = execution.reported, _REPORTED[cause]
        results = []
        index = 0
        for batch in execution.batches:
            for id, _, _ in batch.rows:
                outcome = outcomes[index]
                if outcome is not None and not reported[index] & flag:
                    reported[index] |= flag
                    results.append((id, result_hash(id, outcome)))
                index += 1
        return [FinalReply(round, author, cause, part) for part in _parts(results)]


def _parts(results: list[tuple[bytes, bytes]]) -> list[tuple[tuple[bytes, bytes], ...]]:
    """Split results into parts that fit one reply."""
    return [tuple(results[begin : begin + MOST_RESULTS]) for begin in range(0, len(results), MOST_RESULTS)]

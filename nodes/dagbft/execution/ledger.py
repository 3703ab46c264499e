"""The ledger of one validator: executes what consensus finds, answers clients, and checks early results for ever.

Invariant: every early result is compared with the committed one, and with the place in its shard that was foretold.
`counts.early_wrong` is 0 for as long as the rules of early finality are right.

How to drive it: `on_batch` for each batch that is held, `on_block` for each block before consensus takes it in, and
then `on_events` with what consensus says, an empty list too: what waits may have become ready.
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
from nodes.dagbft.execution.executor import Applied, Carried, Committed
from nodes.dagbft.execution.overlay import ForeignReads, Overlay, Pasts
from nodes.dagbft.execution.snapshot import Snapshot, done, wait_again, waits_of
from nodes.dagbft.execution.speculation import Speculation
from nodes.dagbft.execution.state import State
from nodes.dagbft.execution.transactions import Ready, prepare, result_hash
from nodes.dagbft.field_types import MOST_RESULTS, Cause
from nodes.dagbft.messages import FinalReply, SpecReply

_TOLD = {Cause.EARLY: 1, Cause.COMMITTED: 2}
_MISPLACED = -2  # position of a block that was ordered elsewhere than foretold


@dataclass(slots=True)
class Counts:
    """What the ledger has done."""

    committed: int = 0  # transactions that have their final outcome
    early: int = 0  # transactions of which the outcome was known before they were committed
    early_ok: int = 0  # and came true
    early_wrong: int = 0  # and did not, or their block came at another place than foretold
    early_unmatched: int = 0  # and their block was never ordered
    early_skipped: int = 0  # early events that do not follow on what the ledger has; they are left to commit
    resets: int = 0  # of the overlay: blocks came in another order than foretold
    speculative: int = 0  # results told when a header was made

    def take_over(self, before: Counts) -> None:
        """Add what a ledger counted that this one stands in for. What was open there is not compared any more."""
        self.early += before.early_ok + before.early_wrong + before.early_unmatched
        for name in ("early_ok", "early_wrong", "early_unmatched", "early_skipped", "resets", "speculative"):
            setattr(self, name, getattr(self, name) + getattr(before, name))


class Ledger:
    """State, overlay and self-check. `look_back` is that of the rules (2 where the order is support-gated).

    `told` says how many events consensus has told since the ledger began: while some have not come here, `reads` and
    `pasts` speak of slots whose values are not here, and are not asked. `snapshots` are taken at the first leader of
    each `snapshot_rounds` rounds; 0: never.
    """

    def __init__(
        self,
        committee: Committee,
        me: int,
        look_back: int = 50,
        reads: ForeignReads | None = None,
        pasts: Pasts | None = None,
        told: Callable[[], int] | None = None,
        snapshot_rounds: int = 0,
    ) -> None:
        self.counts = Counts()
        self.snapshots: list[Snapshot] = []  # that have been taken and are to be kept
        self.digest = bytes(32)  # of all committed outcomes so far: equal on all validators after the same commits
        self.commits = 0  # that have been executed
        self.witness: Callable[[Carried, Cause], None] | None = None  # is told of blocks whose results became final
        self._committee = committee
        self._me = me
        self._look_back = look_back
        self._batches: dict[bytes, Ready] = {}
        self._blocks: dict[Slot, Carried] = {}  # that are not done with
        self._lacking: dict[bytes, list[Carried]] = {}  # by batch: the blocks that cannot be played without it
        self._events: deque[Event] = deque()
        self._told = told
        self._heard = 0  # events that have come
        self._latest: list[Slot | None] = [None] * committee.n  # by shard: the last committed block
        self.lengths = [0] * committee.n  # by shard: committed blocks
        self._snapshot_rounds = snapshot_rounds
        self._leader = 0  # round of the last one
        self._committed = Committed(Applied(committee.n, look_back))
        self.overlay = Overlay(committee.n, self._committed, self._written, reads, pasts)
        self._speculation = Speculation(self._committed, self.overlay)
        self.answers_early = True

    def resume(self, snapshot: Snapshot) -> None:
        """Begin where the snapshot was taken. Blocks above its floor, and the commits that follow, are to come."""
        committed = self._committed
        self.commits, self._leader, self.digest = snapshot.commits, snapshot.leader, snapshot.digest
        self.counts.committed = snapshot.outcomes
        past = snapshot.past
        self.lengths, self._latest = list(past.lengths), list(past.latest)
        self._blocks = wait_again(snapshot.waiting, self._committee, committed.locks)
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
            waiting=waits_of(locks),
            state=committed.values.encode(),
        )

    def stop_early_answers(self) -> None:
        """Tell clients no early results any more. They are still worked out, and compared with the committed ones."""
        self.answers_early = False

    @property
    def state(self) -> dict[int, int]:
        """The committed values by key."""
        return self._committed.values

    @property
    def early_open(self) -> int:
        """Early results that still are to be compared."""
        counts = self.counts
        return counts.early - counts.early_ok - counts.early_wrong - counts.early_unmatched

    def write_keys(self, digest: bytes) -> frozenset[int]:
        """The keys that a batch may write. KeyError where it is not held."""
        return self._batches[digest].written

    def home(self, digest: bytes) -> int:
        """The shard whose block must carry a batch; -1 where it has transactions of several. KeyError: not held."""
        return self._batches[digest].shard

    def missing(self) -> list[bytes]:
        """The batches without which the next event cannot be executed."""
        if not self._events or not isinstance(event := self._events[0], Commit):
            return []
        return [digest for slot in event.blocks for digest in self._absent(self._blocks[slot])]

    def on_batch(self, digest: bytes, body: bytes) -> list[FinalReply]:
        """A batch is held from now on."""
        if digest not in self._batches:
            self._batches[digest] = prepare(body)
        for carried in self._lacking.pop(digest, ()):
            self._attach(carried)
        return self.on_events(()) if self._events else []

    def forget(self, digests: Iterable[bytes]) -> None:
        """These batches will be carried by no block that is to come."""
        for digest in digests:
            if digest not in self._lacking:
                self._batches.pop(digest, None)

    def on_block(self, block: Block, payload: Sequence[bytes], inline: bytes = b"") -> None:
        """A certified block with the digests of its batches; it brings the last one itself where `inline` is its body.

        The same block again changes nothing.
        """
        if block.slot not in self._blocks:
            carried = self._carried(block, payload, inline)
            self._blocks[block.slot] = carried
            self._attach(carried)

    def on_header(self, block: Block, payload: Sequence[bytes], inline: bytes = b"") -> list[SpecReply]:
        """An own header was made: what its chained transactions will probably put out.

        There is always a reply, if an empty one: clients aim at the shards of the headers to come.
        """
        carried = self._carried(block, payload, inline)
        carried.batches = [self._batches[digest] for digest in carried.named if digest in self._batches]
        if carried.inline is not None:
            carried.batches.append(carried.inline)
        if not any(batch.chained for batch in carried.batches):
            return [SpecReply(block.round, block.author, ())]
        below = [
            other
            for round in range(max(block.round - self._committee.n, 1), block.round)
            if (other := self._blocks.get((round, self._committee.owner(carried.shard, round)))) is not None
            and not other.committed and not other.played and other.batches is not None
        ]  # fmt: skip
        results = self._speculation.results(carried, below)
        self.counts.speculative += len(results)
        return [SpecReply(block.round, block.author, part) for part in _parts(results) or [()]]

    def on_events(self, events: Iterable[Event]) -> list[FinalReply]:
        """Execute what consensus says, as far as the batches are held; the replies to clients of own blocks."""
        before = len(self._events)
        self._events.extend(events)
        self._heard += len(self._events) - before
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
        if not self._events and (self._told is None or self._told() == self._heard):
            overlay.in_step = True
            overlay.advance()
            overlay.in_step = False
        return self._early_replies() + replies

    def _carried(self, block: Block, payload: Sequence[bytes], inline: bytes) -> Carried:
        shard = self._committee.shard(block.author, block.round)
        return Carried(block, shard, tuple(payload), prepare(inline) if inline else None)

    def _attach(self, carried: Carried) -> None:
        """Give a block its batches, or enter it where they are waited for."""
        absent = self._absent(carried)
        for digest in absent:
            waiting = self._lacking.setdefault(digest, [])
            if carried not in waiting:
                waiting.append(carried)
        if not absent:
            carried.batches = [self._batches[digest] for digest in carried.named]
            if carried.inline is not None:
                carried.batches.append(carried.inline)
            if carried.position >= 0:
                self.overlay.advance_chain(carried.shard)

    def _absent(self, carried: Carried) -> list[bytes]:
        return [] if carried.batches is not None else [each for each in carried.named if each not in self._batches]

    def _written(self, round: int, author: int) -> frozenset[int] | None:
        """The keys that a block may write; None where that is not known (rule T2)."""
        carried = self._blocks.get((round, author))
        if carried is None or carried.batches is None:
            return None
        return frozenset().union(*[batch.written for batch in carried.batches])

    def _early(self, event: Early) -> None:
        carried = self._blocks[event.block]
        chain = self.overlay.chains[event.shard]
        if carried.committed or event.after != (chain[-1].slot if chain else self._latest[event.shard]):
            self.counts.early_skipped += 1
            return
        carried.position = event.position
        self.overlay.append(carried)

    def _commit(self, commit: Commit) -> list[FinalReply]:
        """Play the blocks of a commit, compare, and settle with the overlay."""
        touched: dict[Carried, None] = {}
        for slot in commit.blocks:
            carried = self._blocks[slot]
            if not carried.committed:
                self._commit_block(carried)
                touched[carried] = None
                self._settle(carried, touched)
        floor = commit.leader[0] - self._look_back
        self._committed.expire(floor)
        self._settle(None, touched)
        self.commits = commit.number + 1
        self._lose(floor)
        before, self._leader = self._leader, commit.leader[0]
        if (every := self._snapshot_rounds) and before // every < self._leader // every:
            self.snapshots.append(self._snapshot())
        return [reply for carried in touched for reply in self._replies(carried, Cause.COMMITTED)]

    def _commit_block(self, carried: Carried) -> None:
        shard = carried.shard
        chain = self.overlay.chains[shard]
        if chain and chain[0] is not carried:
            self.counts.resets += 1
            self.overlay.reset()
        self._committed.play(carried)
        carried.committed = True
        carried.place = self.lengths[shard]
        rows = len(carried.final)
        if not carried.early:
            carried.early = [None] * rows
        if chain and chain[0] is carried:
            self.overlay.pop(carried)
        if carried.position >= 0 and carried.position != carried.place:
            carried.position = _MISPLACED
        self._compare(carried, range(rows))
        self._latest[shard] = carried.slot
        self.lengths[shard] += 1
        self._note(repr((carried.slot, carried.final)))
        for digest in carried.payload:
            if digest not in self._lacking:
                self._batches.pop(digest, None)

    def _settle(self, current: Carried | None, touched: dict[Carried, None]) -> None:
        """Tell the overlay of rows that have been finished, and of those that wait now."""
        overlay, committed = self.overlay, self._committed
        finished, committed.finished = committed.finished, []
        if current is not None:
            mine = []  # the latest of all that wait
            for waiting in reversed(committed.locks.waiting):
                if waiting.block is not current:
                    break
                mine.append(waiting)
            for waiting in reversed(mine):
                if current.early[waiting.index] is None:
                    overlay.adopt(waiting)
        for carried, index in finished:
            if carried is not current:
                self._compare(carried, (index,))
                self._note(repr((carried.slot, index, carried.final[index])))
                touched[carried] = None
        if current is not None:
            plain = [index for index in current.waiting if current.final[index] is not None]
            finished += [(current, index) for index in plain if (current, index) not in finished]
        overlay.settle(finished)
        if current is not None:
            overlay.advance_chain(current.shard)

    def _compare(self, carried: Carried, indexes: Sequence[int]) -> None:
        """The self-check, of rows whose final outcome has become known."""
        counts, early, final = self.counts, carried.early, carried.final
        misplaced = carried.position == _MISPLACED
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
        """Forget blocks that are done with, and those that will never be ordered."""
        for slot in [slot for slot in self._blocks if slot[0] <= floor]:
            carried = self._blocks[slot]
            if carried.committed and None in carried.final:
                continue
            del self._blocks[slot]
            if not carried.committed:
                self.counts.early_unmatched += sum(outcome is not None for outcome in carried.early)

    def _early_replies(self) -> list[FinalReply]:
        """Count, and tell clients of own blocks, what has become known early."""
        news, self.overlay.news = self.overlay.news, {}
        replies: list[FinalReply] = []
        for carried in news:
            known = len(carried.early) - carried.early.count(None)
            self.counts.early += known - carried.counted
            carried.counted = known
            if self.answers_early:
                replies += self._replies(carried, Cause.EARLY)
        return replies

    def _replies(self, carried: Carried, cause: Cause) -> list[FinalReply]:
        """What the clients of an own block have not been told."""
        if self.witness is not None:
            self.witness(carried, cause)
        round, author = carried.slot
        if author != self._me or carried.batches is None:
            return []
        outcomes = carried.early if cause == Cause.EARLY else carried.final
        if not carried.told:
            carried.told = bytearray(len(outcomes))
        told, flag = carried.told, _TOLD[cause]
        results = []
        index = 0
        for batch in carried.batches:
            for id, _, _ in batch.rows:
                outcome = outcomes[index]
                if outcome is not None and not told[index] & flag:
                    told[index] |= flag
                    results.append((id, result_hash(id, outcome)))
                index += 1
        return [FinalReply(round, author, cause, part) for part in _parts(results)]


def _parts(results: list[tuple[bytes, bytes]]) -> list[tuple[tuple[bytes, bytes], ...]]:
    """As many as one reply takes."""
    return [tuple(results[begin : begin + MOST_RESULTS]) for begin in range(0, len(results), MOST_RESULTS)]

"""One honest validator of a schedule: consensus, coin and ledger, joined as a process joins them, and its disk.

Invariant: consensus is fed with a certified block only when it has all its ancestors above the floor, as primaries do.
What consensus finds may reach the ledger late, and batches come between, as between the turns of a process.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from random import Random
from types import SimpleNamespace
from typing import Any

from nodes.dagbft.consensus.coin import SeededCoin
from nodes.dagbft.consensus.committee import Committee
from nodes.dagbft.consensus.core import Commit, Consensus, Event, Rules
from nodes.dagbft.consensus.dag import Block, Slot, members
from nodes.dagbft.execution.ledger import Ledger
from nodes.dagbft.field_types import Cause
from nodes.dagbft.messages import FinalReply
from nodes.dagbft.primary.execution import new_ledger

from .verdict import Fault, Verdict


class Everybody(int):
    """A validator number that equals all: its ledger answers the clients of all blocks, not of its own alone."""

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = int.__hash__


class Certified:
    """All certified blocks there are, and what they carry."""

    def __init__(self, seed: int, bodies: dict[bytes, bytes]) -> None:
        self.seed = seed
        self.bodies = bodies
        self.blocks: dict[Slot, Block] = {}
        self.payloads: dict[Slot, tuple[bytes, ...]] = {}
        self.rounds: dict[int, int] = {}  # by round: the authors that have a block
        self.top = 0  # the highest round with a block

    def enter(self, block: Block, payload: tuple[bytes, ...]) -> None:
        """A header has its certificate. A slot has one at most."""
        assert block.slot not in self.blocks, block
        self.blocks[block.slot] = block
        self.payloads[block.slot] = payload
        self.rounds[block.round] = self.rounds.get(block.round, 0) | 1 << block.author
        self.top = max(self.top, block.round)


class View:
    """Validator `me`; its rules differ from those of others in what is kept."""

    def __init__(
        self, me: int, committee: Committee, rules: Rules, certified: Certified, verdict: Verdict, *, ledger: bool
    ) -> None:
        self.me = me
        self.committee = committee
        self.rules = rules
        self.held: dict[Slot, Block] = {}  # the disk: certificates of all lives, in the order in which they came
        self.commits: list[Commit] = []  # and the log
        self.rounds: dict[int, int] = {}  # by round: the authors whose block is held
        self.round = 0  # the highest with a quorum
        self._executes = ledger
        self._certified = certified
        self._verdict = verdict
        self._begin()

    def _begin(self) -> None:
        """What a life begins with."""
        self.consensus = Consensus(self.committee, self.rules)
        self._coin = SeededCoin(self.committee, self._certified.seed)
        self.late: set[bytes] = set()  # batches that are on their way
        self._found: deque[tuple[Block | None, list[Event]]] = deque()  # that the ledger does not know yet
        config = SimpleNamespace(rules=self.rules, snapshot_rounds=0)  # committees of whole primaries take snapshots
        core: Any = SimpleNamespace(consensus=self.consensus, me=Everybody(self.me), config=config, snapshot=None)
        self.ledger: Ledger | None = new_ledger(core) if self._executes else None

    # Certified blocks

    def lacks(self, block: Block) -> list[Block]:
        """Those of the block and its ancestors above the floor that are not held, lower rounds first."""
        floor, blocks, held = self.consensus.dag.floor, self._certified.blocks, self.held
        if block.round <= floor or block.slot in held:
            return []
        found, open = [block], {block.slot}
        layer = [block]
        while layer:
            below = []
            for each in layer:
                if each.round - 1 <= floor:
                    continue
                for author in members(each.parents):
                    slot = (each.round - 1, author)
                    if slot not in open and slot not in held:
                        open.add(slot)
                        below.append(blocks[slot])
            found += below
            layer = below
        return sorted(found)

    def take(self, block: Block, late: Callable[[bytes], bool] | None = None, *, at_once: bool = True) -> None:
        """A certificate has come, and its ancestors with it. `late` says which batches come later."""
        for each in self.lacks(block):
            if each.round <= self.consensus.dag.floor:
                continue
            for digest in self._certified.payloads[each.slot]:
                if late is not None and self.ledger is not None and late(digest):
                    self.late.add(digest)
                else:
                    self.batch(digest)
            self._add(each)
        if at_once:
            self.play()

    def _add(self, block: Block) -> None:
        self._check_mode(block)
        self.held[block.slot] = block
        held = self.rounds[block.round] = self.rounds.get(block.round, 0) | 1 << block.author
        if block.round > self.round and held.bit_count() >= self.committee.quorum:
            self.round = block.round
        events = self._feed(block)
        for event in events:
            if isinstance(event, Commit):
                self.commits.append(event)
        self._tell(events)
        self._found.append((block, events))

    def _feed(self, block: Block) -> list[Event]:
        events = self.consensus.add(block)
        if self.rules.protocol == "asynchronous" and (value := self._coin.reveal(block)):
            events += self.consensus.coin(*value)
        return events

    def mode_of(self, block: Block) -> int | None:
        """How a block whose parents are held votes, as far as that can be told here."""
        return self.consensus.rule.mode_for(block)

    def _check_mode(self, block: Block) -> None:
        mode = self.mode_of(block)
        if mode is not None and mode != block.mode:
            raise Fault("mode", f"validator {self.me} has {block} vote in mode {mode}")

    def _tell(self, events: Iterable[Event]) -> None:
        for event in events:
            if isinstance(event, Commit):
                self._verdict.commit(self.me, event)
            else:
                self._verdict.place(self.me, event)

    # The ledger

    def batch(self, digest: bytes) -> None:
        """A batch has come, whatever of consensus the ledger has not heard."""
        self.late.discard(digest)
        if self.ledger is not None:
            self._answers(self.ledger.on_batch(digest, self._certified.bodies[digest]))

    def play(self) -> None:
        """The ledger hears what consensus has found."""
        if self.ledger is None:
            self._found.clear()
            return
        events: list[Event] = []
        while self._found:
            block, more = self._found.popleft()
            events += more
            if block is not None:
                payload = self._certified.payloads[block.slot]
                self.ledger.on_block(block, payload)
                for digest in payload:
                    if digest not in self.late:
                        self.batch(digest)
        self._answers(self.ledger.on_events(events))
        while missing := [digest for digest in self.ledger.missing() if digest not in self.late]:
            for digest in missing:
                self.batch(digest)

    def _answers(self, replies: list[FinalReply]) -> None:
        ledger = self.ledger
        assert ledger is not None
        for reply in replies:
            for id, hash in reply.results:
                result = ((reply.round, reply.author), id)
                self._verdict.result(self.me, result, hash, early=reply.cause == Cause.EARLY)
        self._verdict.digest(self.me, ledger.commits, ledger.digest)

    # Other lives

    def restart(self, count: int) -> None:
        """Die and come back: take the log as it is up to this number of commits, and work out the rest again.

        Where the disk does not hold all that the rest needs, the whole log is taken as it is.
        """
        floor, blocks = self._from_disk(count)
        if any(
            (block.round - 1, author) not in self.held
            for block in blocks if block.round - 1 > floor
            for author in members(block.parents)
        ):  # fmt: skip
            count = len(self.commits)
            floor, blocks = self._from_disk(count)
        self._begin()
        for commit in self.commits[:count]:
            self._found += [(Block(*slot, 0), []) for slot in commit.blocks]
            self._found.append((None, [commit]))
        if count:
            self.consensus.resume(self.commits[:count], floor)
        again: list[Event] = []
        for block in blocks:
            if block.round > self.consensus.dag.floor:
                events = self._feed(block)
                again += events
                self._found.append((block, events))
        self._same([event for event in again if isinstance(event, Commit)], count, "restart")
        self._tell(again)
        self.play()

    def _from_disk(self, count: int) -> tuple[int, list[Block]]:
        floor = self.consensus.floor_after(self.commits[count - 1]) if count else 0
        return floor, sorted(block for block in self.held.values() if block.round > floor)

    def _same(self, commits: list[Commit], count: int, how: str) -> None:
        if commits != self.commits[count:]:
            raise Fault("replay", f"validator {self.me}, {how} from commit {count} of {len(self.commits)}")
        self._verdict.counts["replays"] += 1

    def replay_in_another_order(self, random: Random) -> None:
        """One that keeps everything, and gets the same blocks in another causal order, commits the same."""
        rules = Rules(
            self.rules.protocol, self.rules.schedule, self.rules.order, self.rules.look_back,
            early=False, keep=1 << 40,
        )  # fmt: skip
        consensus, coin = Consensus(self.committee, rules), SeededCoin(self.committee, self._certified.seed)
        blocks, commits, held = self._certified.blocks, [], set()
        due = sorted(self.held.values(), key=lambda block: block.round + 4 * random.random())
        for block in due:
            need = [block]
            while need:
                top = need[-1]
                lacking = [(top.round - 1, author) for author in members(top.parents)]
                lacking = [slot for slot in lacking if slot not in held]
                if lacking:
                    need += [blocks[slot] for slot in lacking]
                    continue
                need.pop()
                if top.slot in held:
                    continue
                held.add(top.slot)
                events = consensus.add(top)
                if rules.protocol == "asynchronous" and (value := coin.reveal(top)):
                    events += consensus.coin(*value)
                commits += [event for event in events if isinstance(event, Commit)]
        if commits[: len(self.commits)] != self.commits[: len(commits)]:
            raise Fault("replay", f"validator {self.me}, in another order and without a floor")
        self._verdict.counts["replays"] += 1

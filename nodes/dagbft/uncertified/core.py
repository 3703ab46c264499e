"""The core of a validator without certificates: its inputs are messages, batches and the time, its outputs effects.

A block is sent once, signed by its author, to all others. It is added, and may become a parent, when its own parents
and its batches are held: so a validator that references a block can serve all of its past.

Invariant: own blocks and commits are among the records of the effects that carry what rests on them; a validator signs
one block a round in all its lives. Whatever comes from a peer is taken in, suspended within bounds, or counted in
`rejected` by reason and peer. Who has signed two blocks of a slot is an equivocator from then on: its blocks are taken
in only where a block of somebody needs them.
"""

from __future__ import annotations

from collections import Counter, deque

from emulator.sdk.disk import Disk
from nodes.dagbft.consensus.committee import Turns
from nodes.dagbft.consensus.core import Commit
from nodes.dagbft.consensus.dag import NONE, Block, Refused, Slot
from nodes.dagbft.identity import Roster, Verifier, check_header
from nodes.dagbft.messages import BlockReply, BlockRequest, Cleanup, Header, Message, Synchronize, TailRequest
from nodes.dagbft.primary.catchup import Probe, Tail
from nodes.dagbft.primary.delivery import Delivery
from nodes.dagbft.primary.effects import Effects
from nodes.dagbft.primary.payload import ANY, Keys, Name, Payload
from nodes.dagbft.primary.records import commit_record, wiped_record
from nodes.dagbft.primary.requests import DagRequests, SynchronizeRequests
from nodes.dagbft.primary.shared import Signer
from nodes.dagbft.uncertified.answers import BlockAnswers
from nodes.dagbft.uncertified.config import UncertifiedConfig
from nodes.dagbft.uncertified.consensus import UncertifiedConsensus
from nodes.dagbft.uncertified.dag import Vertex
from nodes.dagbft.uncertified.proposer import NO_SUMMARY, BlockProposer, no_keys
from nodes.dagbft.uncertified.records import BlockArchive, block_records, order_record
from nodes.dagbft.uncertified.suspended import SuspendedBlocks
from nodes.dagbft.wire import is_batch

LAG = 4  # rounds: a block so far below those of others is in nobody's past, and is not made


class UncertifiedCore:
    """One validator. `genesis`: a store without records means a new validator, not a lost disk."""

    def __init__(
        self,
        me: int,
        roster: Roster,
        signer: Signer,
        verifier: Verifier,
        config: UncertifiedConfig,
        disk: Disk,
        now_s: float = 0.0,
        *,
        genesis: bool = True,
    ) -> None:
        self.me = me
        self.roster = roster
        self.config = config
        self.keys_of = no_keys
        self.archive = BlockArchive(disk)
        committee = roster.committee
        schedule = config.schedule or Turns(range(committee.n))
        self.consensus = UncertifiedConsensus(committee, schedule, config.leaders, config.look_back, config.keep)
        self.blocks: dict[bytes, Header] = {}  # that are in the DAG
        self.payload = Payload(config.most_batches, config.most_batch_bytes)
        self.logged = 0  # commits that were on disk when this core began
        self.rejected: Counter[tuple[str, int]] = Counter()  # by reason and peer
        self.counts: Counter[str] = Counter()
        self.effects = Effects()
        self.equivocators: set[int] = set()
        self.newest = [0] * committee.n  # by author: the highest round of a sound block, held or not
        self.proposer = BlockProposer(self, signer, now_s)
        self._verifier = verifier
        self._suspended = SuspendedBlocks()
        self._requests = DagRequests(me, committee.n, config.retry_s, config.retry_peers, BlockRequest)
        self._batches = SynchronizeRequests(me, committee.n, config.retry_s, config.retry_peers)
        self._answers = BlockAnswers(self.archive, self.blocks, config.most_answers)
        self._delivery = Delivery(lambda slot: bool(self.payload.missing(self.payload_of(slot))))
        self._tail = Tail(me, committee.n, config.retry_s, now_s)
        self._probe: Probe | None = None
        self._quiet = 0  # no own blocks up to this round: they may have been made before the disk was lost
        self._ordered: dict[Slot, Header] = {}  # blocks that are not executed
        self._executed: tuple[list[Slot], list[Slot]] = [], []  # since the last `take`, and before it
        self._replaying = False
        self._recover(genesis, now_s)

    def _recover(self, genesis: bool, now_s: float) -> None:
        """Restore the state from the records. Logged commits are executed again, but are not reported as events."""
        log = list(self.archive.commits())
        own = next(iter(self.archive.headers()), None)
        self.logged = len(log)
        floor = self.archive.floor(len(log) - 1) if log else 0
        if log:
            self.consensus.resume(log, floor, self.archive.ordered(floor + 1))
        for commit in log:
            self._execute(commit)
        self._replaying = True
        for block in list(self.archive.blocks(floor + 1)):
            if block.author == self.me and block.round > self.consensus.order.floor:
                self.payload.carried(block, self.keys_of)
                if (block.round, self.me) not in self.consensus.order.digests:
                    self.proposer.reopen(block)
            self.newest[block.author] = max(self.newest[block.author], block.round)
            self.deliver(block, now_s)
        self._replaying = False
        self.proposer.resume(own, now_s)
        quiet = self.archive.quiet()
        self._quiet = quiet or 0
        if quiet is None and (self.archive.wiped() or not (genesis or own or self.blocks)):
            self._probe = Probe(self.roster.committee.quorum, self.config.retry_s, now_s)
            self.effects.persist.append(wiped_record(None))
        self.effects.workers += [(worker, Synchronize((), ())) for worker in range(self.roster.workers)]
        self._settle(now_s)

    # Inputs

    def on_message(self, peer: int, message: Message, now_s: float) -> None:
        """A message of another validator."""
        match message:
            case Header() if message.author != peer:
                self.reject("sender", peer)
            case Header():
                self._on_block(peer, message, now_s)
            case BlockRequest((), nonce, _):
                full = self.consensus.dag.of_round(self.proposer.full)
                self._answer(peer, self._answers.newest(peer, [self.blocks[v.digest] for v in full], nonce, now_s))
            case BlockRequest(digests, _, ancestors):
                self._answer(peer, self._answers.blocks(peer, digests, ancestors, now_s))
            case TailRequest(round):
                self._answer(peer, self._answers.tail(peer, round, now_s))
            case BlockReply():
                self._on_reply(peer, message, now_s)
            case _:
                self.reject("misplaced", peer)
        self._settle(now_s)

    def on_batch(
        self, digest: bytes, worker: int, keys: Keys, own: bool, now_s: float, size: int = 0, shard: int = ANY
    ) -> None:
        """An own worker has stored a batch. Own ones go into blocks that are in charge of `shard`."""
        name = (digest, worker)
        self.effects.forget += [gone[0] for gone in self.payload.hold(name, keys, size)]
        if own:
            self.payload.offer(name, keys, shard)
        self._batches.received(name)
        for block in self._suspended.arrived(name):
            self.deliver(block, now_s)
        self._settle(now_s)

    def on_sealed(self, worker: int, round: int, inline: bytes, now_s: float) -> None:
        """An own worker has sealed its batches for the block of a round; `inline` is a batch to put inside it."""
        self.proposer.sealing.answered(worker, round, inline)
        self._settle(now_s)

    def tick(self, now_s: float) -> None:
        """Process deadlines up to `now_s`."""
        self._settle(now_s)

    # Outputs

    def take(self) -> Effects:
        """The effects since the last call."""
        for slot in self._executed[1]:  # their effects have been carried out
            self._ordered.pop(slot, None)
        self._executed = [], self._executed[0]
        effects, self.effects = self.effects, Effects()
        return effects

    def next_deadline_s(self) -> float:
        """When to call `tick` at the latest."""
        if self._probe is not None:
            return self._probe.due_s
        return min(self.proposer.due_s(), self._requests.next_s, self._batches.next_s, self._tail.due_s)

    def payload_of(self, slot: Slot) -> tuple[Name, ...]:
        """The batches of the slot's ordered block that workers store."""
        return block.payload if (block := self.header_at(slot)) is not None else ()

    def header_at(self, slot: Slot) -> Header | None:
        """The slot's ordered block."""
        if (block := self._ordered.get(slot)) is not None:
            return block
        digest = self.archive.ordered_at(slot)
        return None if digest is None else self.archive.block(digest)

    @property
    def probing(self) -> bool:
        """Whether this validator has lost its disk and does not know yet up to which round not to make blocks."""
        return self._probe is not None

    @property
    def may_propose(self) -> bool:
        """Whether a block of the next round is useful, and cannot be a second one of its round."""
        round = self.proposer.full + 1
        others = sorted(self.newest, reverse=True)[self.roster.committee.faults]  # a correct author is as far
        return self._probe is None and round > self._quiet and round + LAG > others

    def reject(self, reason: str, peer: int) -> None:
        self.rejected[reason, peer] += 1

    # Blocks

    def _on_block(self, peer: int, block: Header, now_s: float) -> None:
        digest = block.id
        if digest in self.blocks or digest in self._suspended:
            return None
        if block.round <= self.consensus.dag.floor:
            return self.reject("stale", peer)
        if reason := self._refusal(block):
            return self.reject(reason, peer)
        self.newest[block.author] = max(self.newest[block.author], block.round)
        if block.round > self.proposer.full + self.config.window:
            self.counts["ahead"] += 1
            return None
        wanted = self._suspended.needs(digest)
        if self.consensus.dag.at(block.round, block.author) or self._suspended.twin_of(block):
            self.equivocators.add(block.author)
            self.reject("equivocation", block.author)
        if not wanted and block.author in self.equivocators:
            return self.reject("equivocator", peer)
        parents = self.consensus.dag.missing(block.parents) if block.round > self.consensus.dag.floor + 1 else []
        batches = self.payload.missing(block.payload)
        if not parents and not batches:
            return self.deliver(block, now_s)
        was_requested = self._requests.received(digest)
        if self._suspended.count(block.author) >= self.config.most_parked * (4 if wanted else 1):
            return self.reject("parked", peer)
        self._suspended.suspend(block, [*parents, *batches])
        self.counts["parked"] += 1
        for parent in parents:
            if parent not in self._suspended:
                self._requests.request(parent, (block.author, peer), now_s)
                if was_requested:
                    self._requests.request_ancestors(parent)
        for name in batches:
            self._batches.request(name, (block.author,), now_s)
        return None

    def _refusal(self, block: Header) -> str:
        """The reason for which a block is refused; "" if it is sound."""
        if len(block.inline) > self.config.inline_bytes or not is_batch(block.inline):
            return "inline"
        if reason := check_header(block, self.roster, self._verifier):
            return reason
        if block.mode != NONE:
            return "mode"
        if block.coin_share:
            return "coin"
        return "" if block.summary == NO_SUMMARY else "summary"

    def deliver(self, block: Header, now_s: float) -> None:
        """Add a block that lacks nothing, and those that waited for it."""
        queue = deque((block,))
        while queue:
            one = queue.popleft()
            if one.id in self.blocks or one.round <= self.consensus.dag.floor:
                continue
            try:
                commits = self.consensus.add(Vertex(one.round, one.author, one.id, frozenset(one.parents)))
            except Refused as refused:
                self.reject(refused.reason, one.author)
                self._requests.received(one.id)
                continue
            self.blocks[one.id] = one
            self._requests.received(one.id)
            if not self._replaying:
                self.effects.persist += block_records(one)
            if self.proposer.note(one.round, now_s):
                self._tail.advanced(now_s)
                if not self._replaying:
                    self.effects.advanced.append(one.round)
            for commit in commits:
                self._on_commit(commit)
            queue.extend(self._suspended.arrived(one.id))
            queue.extend(self._collect())

    def _on_commit(self, commit: Commit) -> None:
        self.effects.persist.append(commit_record(commit, self.consensus.floor_after(commit)))
        self.effects.persist += [order_record(slot, self.consensus.order.digests[slot]) for slot in commit.blocks]
        self.effects.events.append(commit)
        for slot in commit.blocks:
            self._ordered[slot] = self.blocks[self.consensus.order.digests[slot]]
        self._execute(commit)

    def _execute(self, commit: Commit) -> None:
        """Pass a commit on, to be executed when its batches are held."""
        for slot in commit.blocks:
            self.effects.blocks.append(Block(*slot, 0))
            if slot[1] == self.me:
                self.proposer.ordered(slot[0])
                if (block := self.header_at(slot)) is not None:
                    self.payload.ordered(block.names)
                    self.proposer.sealing.release(block.payload)
        self.effects.found.append(commit)
        self._delivery.put(commit)

    def _collect(self) -> list[Header]:
        """Drop everything below the floor; own batches that will not be ordered any more wait for a block again.

        Returns the suspended blocks that lack nothing now.
        """
        self.proposer.lost(self.consensus.order.floor)
        gone = self.consensus.collect()
        if not gone:
            return []
        for vertex in gone:
            del self.blocks[vertex.digest]
        floor = self.consensus.dag.floor
        ready = self._suspended.collect(floor)
        self._requests.keep(self._suspended.needs)
        self.effects.floor = floor
        self.effects.workers += [(worker, Cleanup(floor)) for worker in range(self.roster.workers)]
        return ready

    # Requests

    def _answer(self, peer: int, reply: BlockReply | None) -> None:
        if reply is not None:
            self.effects.send.append((peer, reply))

    def _on_reply(self, peer: int, reply: BlockReply, now_s: float) -> None:
        if self._probe is not None and reply.nonce == self._probe.nonce:
            self._probe.answer(peer, self._full_round_of(reply.blocks))
        before = self.proposer.full
        for block in reply.blocks:
            self._on_block(peer, block, now_s)
        if self.proposer.full > before and max(self.newest) > self.proposer.full:
            self._tail.go_on(now_s)

    def _full_round_of(self, blocks: tuple[Header, ...]) -> int:
        """The round of which these are sound blocks of a quorum of authors; 0 where they are not. A liar can name no
        round that f + 1 correct validators have not come to.
        """
        if len({block.round for block in blocks}) != 1 or any(self._refusal(block) for block in blocks):
            return 0
        authors = {block.author for block in blocks}
        return blocks[0].round if len(authors) >= self.roster.committee.quorum else 0

    def _end_probe(self) -> None:
        """Take part again, where enough is known of what a former life did: its last block, of round r, had q parents.
        A correct author of one of these is among those that answered, and had a quorum of round r - 2 then.
        """
        if self._probe is None or (learnt := self._probe.learnt()) is None:
            return
        self._probe = None
        self._quiet = learnt + 1
        self.effects.persist.append(wiped_record(self._quiet))

    # After each input

    def _settle(self, now_s: float) -> None:
        """Execute, propose and request, as far as possible now."""
        for event in self._delivery.ready():
            self.effects.execute.append(event)
            assert isinstance(event, Commit)
            for slot in event.blocks:
                self._executed[0].append(slot)
                for name in self.payload_of(slot):
                    self.payload.drop(name)
                    self.effects.forget.append(name[0])
        if (blocked := self._delivery.blocked) is not None:
            for name in self.payload.missing(self.payload_of(blocked)):
                self._batches.request(name, (blocked[1],), now_s)
        self._end_probe()
        if self._probe is not None:
            if self._probe.ask(now_s):
                self._requests.ask_newest(self._probe.nonce, self.effects)
            return
        self.proposer.propose(now_s)
        if (peer := self._tail.ask(now_s)) is not None:
            self.effects.send.append((peer, TailRequest(self.proposer.full)))
        self._requests.send(now_s, self.effects)
        self._batches.send(now_s, self.effects)

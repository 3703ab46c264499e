"""The core of a primary: its inputs are messages, batches and the time, its outputs are effects.

Invariant: the effects that send a message also hold the records of votes, own headers, certificates and commits that
the message rests on. Every message of a peer is accepted, suspended within bounds, or counted in `rejected` by reason
and peer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from emulator.sdk.disk import Disk
from nodes.dagbft.consensus.core import Commit, Consensus, Event
from nodes.dagbft.consensus.dag import Block, Slot
from nodes.dagbft.execution.snapshot import Snapshot
from nodes.dagbft.execution.transactions import write_keys
from nodes.dagbft.identity import Roster, Verifier, check_certificate, check_vote
from nodes.dagbft.messages import (
    Certificate,
    CertReply,
    CertRequest,
    Cleanup,
    Header,
    Message,
    SnapshotOffer,
    SnapshotPart,
    SnapshotRequest,
    StateReply,
    StateRequest,
    Synchronize,
    TailRequest,
    Vote,
)
from nodes.dagbft.primary.answers import Answers, certificates_of
from nodes.dagbft.primary.ballot import VoteLog
from nodes.dagbft.primary.blocks import Blocks
from nodes.dagbft.primary.catchup import Catchup, Probe, Tail
from nodes.dagbft.primary.coin import Coin
from nodes.dagbft.primary.config import PrimaryConfig
from nodes.dagbft.primary.delivery import Delivery
from nodes.dagbft.primary.effects import Effects
from nodes.dagbft.primary.pace import Pace
from nodes.dagbft.primary.payload import ANY, Keys, Name, Payload
from nodes.dagbft.primary.proposer import Proposer
from nodes.dagbft.primary.records import Archive, commit_record, wiped_record
from nodes.dagbft.primary.recovery import Beginning, beginning, compare, compare_count
from nodes.dagbft.primary.requests import DagRequests, SynchronizeRequests
from nodes.dagbft.primary.shared import Signer
from nodes.dagbft.primary.snapshots import Snapshots
from nodes.dagbft.primary.statesync import StateSync
from nodes.dagbft.primary.voting import Voting


class PrimaryCore:
    """One validator's primary. `genesis`: a store without records means a new validator, not a lost disk; `keys_of`:
    the keys that a batch may write."""

    def __init__(
        self,
        me: int,
        roster: Roster,
        signer: Signer,
        verifier: Verifier,
        config: PrimaryConfig,
        coin: Coin | None,
        disk: Disk,
        now_s: float = 0.0,
        *,
        genesis: bool = True,
        keys_of: Callable[[bytes], Keys] = write_keys,
    ) -> None:
        self.me = me
        self.roster = roster
        self.config = config
        self.keys_of = keys_of
        self.archive = Archive(disk)
        self.consensus = Consensus(roster.committee, config.rules)
        self.blocks = Blocks(self.consensus, coin)
        self.payload = Payload(config.most_batches, config.most_batch_bytes)
        self.votes = VoteLog()
        self.logged = 0  # commits that were on disk at the start of this core
        self.rejected: Counter[tuple[str, int]] = Counter()  # by reason and peer
        self.counts: Counter[str] = Counter()
        self.effects = Effects()
        n = roster.committee.n
        self.pace = Pace(me, self.consensus, config, now_s)
        self.proposer = Proposer(self, signer, verifier, coin)
        self._verifier = verifier
        self._signer = signer
        self._coin = coin
        self._certificates = DagRequests(me, n, config.retry_s, config.retry_peers, CertRequest)
        self._batches = SynchronizeRequests(me, n, config.retry_s, config.retry_peers, config.batch_grace_s)
        self.voting = Voting(self, signer, verifier, coin, self._certificates, self._batches)
        self.snapshots = Snapshots(self.archive, self.consensus.floor_below)
        self.snapshot: Snapshot | None = None  # with which this core, and its ledger, began
        self._answers = Answers(self.archive, self.blocks, self.snapshots, config.most_answers)
        self.delivery = Delivery(lambda slot: bool(self.payload.missing(self.payload_of(slot))))
        self._catchup = Catchup(me, n, config.retry_s, config.sync_after)
        self._tail = Tail(me, n, config.retry_s, now_s)
        self._sync = StateSync(roster.committee.faults + 1, config.retry_s, self.reject, self.counts)
        self._probe: Probe | None = None
        self._floor = 0
        self._replaying = False
        self._log: list[Commit] = []  # commits from before the restart, while they are replayed
        self._recover(genesis, now_s)

    def _recover(self, genesis: bool, now_s: float) -> None:
        """Restore the state from the records. Logged commits are executed again, but are not reported as events."""
        votes, headers = list(self.archive.votes()), list(self.archive.headers())
        for slot, header_id in votes:
            self.votes.enter(slot, header_id)
        if (quiet := self.archive.quiet()) is not None:
            self.votes.quiet = quiet
        self.snapshot = self.snapshots.newest()
        past = None if self.snapshot is None else self.snapshot.past
        begin = beginning(self.archive, past, self.consensus.floor_below)
        self._log, self.logged = begin.log, begin.logged
        self._replaying = True
        for header in headers:
            self.payload.carried(header, self.keys_of)
        self._resume(begin, now_s)
        for certificate in begin.certificates:
            if certificate.round >= self.blocks.floor and not self.blocks.knows(certificate.digest):
                self._deliver(certificate, now_s)
        compare_count(self.consensus.commits, self.logged)
        self._replaying = False
        self._log = []
        if headers:
            self.proposer.resume(headers, now_s)
        wiped = not (genesis or votes or headers or self.consensus.dag.layers)
        if quiet is None and (wiped or self.archive.wiped()):
            self._probe = Probe(self.roster.committee.quorum, self.config.retry_s, now_s)
            self.effects.persist.append(wiped_record(None))
        # Own batches that were never ordered: the workers have them. Whether older ones were ordered is not known here.
        offer = Synchronize((), (), self.archive.begin().since)
        self.effects.workers += [(worker, offer) for worker in range(self.roster.workers)]
        self._settle(now_s)

    def _resume(self, begin: Beginning, now_s: float) -> None:
        """Continue the order where the log ends; the ledger executes all commits after the snapshot."""
        if begin.taken or begin.past is not None:
            self.consensus.resume(begin.taken, begin.floor, begin.past)
            self.pace.round = self._floor = begin.floor
        self.proposer.begin()
        for commit in begin.taken:
            self.effects.blocks += [Block(*slot, 0) for slot in commit.blocks]
            self.effects.found.append(commit)
            self.delivery.put(commit)
        for slot in (slot for commit in begin.log for slot in commit.blocks):
            for name in self.payload.missing(self.payload_of(slot)):
                self._batches.request(name, (slot[1],), now_s)

    # Inputs

    def on_message(self, peer: int, message: Message, now_s: float) -> None:
        """A message of another validator's primary."""
        match message:
            case Header():
                self.voting.on_header(peer, message, now_s)
            case Vote():
                self._on_vote(peer, message, now_s)
            case Certificate():
                self._on_certificate(peer, message, now_s)
            case CertReply():
                self._on_reply(peer, message, now_s)
            case StateReply():
                self._on_state(peer, message, now_s)
            case SnapshotOffer():
                self._sync.offered(peer, message, self.consensus.commits, now_s)
            case SnapshotPart():
                self._on_part(peer, message, now_s)
            case CertRequest() | StateRequest() | TailRequest() | SnapshotRequest():
                found = self._answers.to(peer, message, now_s)
                self.effects.send += [(peer, answer) for answer in found]
            case _:
                self.reject("misplaced", peer)
        self._settle(now_s)

    def on_batch(
        self, digest: bytes, worker: int, keys: Keys, own: bool, now_s: float, size: int = 0, shard: int = ANY
    ) -> None:
        """An own worker has stored a batch, its own or another validator's, that may write these keys.

        An own batch goes into a header that is in charge of `shard`.
        """
        name = (digest, worker)
        self.effects.forget += [gone[0] for gone in self.payload.hold(name, keys, size)]
        if own:
            self.payload.offer(name, keys, shard)
        self._batches.received(name)
        self.voting.arrived(name, now_s)
        self._settle(now_s)

    def on_sealed(self, worker: int, round: int, inline: bytes, now_s: float) -> None:
        """An own worker has sealed its batches for the header of a round; `inline` is a batch to put inside it."""
        self.proposer.sealing.answered(worker, round, inline)
        self._settle(now_s)

    def tick(self, now_s: float) -> None:
        """Process deadlines up to `now_s`."""
        self._settle(now_s)

    # Outputs

    def take(self) -> Effects:
        """The effects since the last call."""
        effects, self.effects = self.effects, Effects()
        return effects

    def next_deadline_s(self) -> float:
        """When to call `tick` at the latest."""
        if self._probe is not None:
            return self._probe.due_s
        return min(
            self.proposer.due_s(), self.proposer.again_s, self._certificates.next_s, self._batches.next_s,
            self._catchup.due_s, self._tail.due_s, self._sync.due_s,
        )  # fmt: skip

    def payload_of(self, slot: Slot) -> tuple[Name, ...]:
        """The batches of a certified block that workers store, so not the one inside its header."""
        return header.payload if (header := self.header_at(slot)) is not None else ()

    def header_at(self, slot: Slot) -> Header | None:
        """The header of a certified block."""
        certificate = self.certificate_at(slot)
        return certificate.header if certificate is not None else None

    def certificate_at(self, slot: Slot) -> Certificate | None:
        return self.blocks.at(slot) or self.archive.at(slot)

    def reject(self, reason: str, peer: int) -> None:
        self.rejected[reason, peer] += 1

    @property
    def probing(self) -> bool:
        """Whether this validator has lost its disk and does not know yet up to which round it must not vote."""
        return self._probe is not None

    @property
    def may_propose(self) -> bool:
        """Whether a header of the next round is useful, and cannot be a second one of its round."""
        round = self.pace.round + 1
        held = self.pace.holds_quorum and round > self.votes.quiet
        return self._probe is None and held and round >= self._catchup.seen

    def _on_vote(self, peer: int, vote: Vote, now_s: float) -> None:
        ballot = self.proposer.ballots.get(vote.round)
        if vote.author != self.me or ballot is None:
            self.counts["late votes"] += 1
            return
        if vote.voter != peer:
            self.reject("voter", peer)
        elif vote.header_id != ballot.header.id:
            self.reject("header", peer)
        elif vote.voter in ballot.votes:  # the header was sent again while the vote was in flight
            self.counts["repeated votes"] += 1
        elif reason := check_vote(vote, self.roster, self._verifier):
            self.reject(reason, peer)
        elif certificate := self.proposer.count(ballot, vote):
            self._on_certificate(self.me, certificate, now_s)

    # Certificates

    def _on_certificate(self, peer: int, certificate: Certificate, now_s: float) -> None:
        digest = certificate.digest
        if self.blocks.knows(digest):
            return
        if not self.blocks.of_use(certificate):
            return self.reject("stale", peer)
        if reason := check_certificate(certificate, self.roster, self._verifier):
            return self.reject(reason, peer)
        self._catchup.note(certificate.round, self.pace.round, now_s)
        if certificate.round > self.pace.round + self.config.window:
            self.counts["ahead"] += 1
            return None
        was_missing = self._certificates.received(digest)
        if not self.blocks.missing(certificate):
            return self._deliver(certificate, now_s)
        for parent in self.blocks.unknown(certificate):
            self._certificates.request(parent, (certificate.author, peer), now_s)
            if was_missing:
                self._certificates.request_ancestors(parent)
        return self.blocks.suspend(certificate)

    def _on_reply(self, peer: int, reply: CertReply, now_s: float) -> None:
        if self._probe is not None and reply.nonce == self._probe.nonce:
            sound = (each for each in reply.certificates if not check_certificate(each, self.roster, self._verifier))
            self._probe.answer(peer, max((each.round for each in sound), default=0))
        before = self.pace.round
        for certificate in reply.certificates:
            self._on_certificate(peer, certificate, now_s)
        if self.pace.round > before and self._catchup.seen > self.pace.round:
            self._tail.go_on(now_s)

    def _end_probe(self) -> None:
        """Vote and propose again, once the probe has a quorum of answers."""
        if self._probe is None or (quiet := self._probe.learnt()) is None:
            return
        self._probe = None
        self.votes.quiet = quiet
        self.effects.persist.append(wiped_record(quiet))

    def _on_state(self, peer: int, reply: StateReply, now_s: float) -> None:
        if (certificates := certificates_of(reply)) is None:
            return self.reject("state", peer)
        for certificate in certificates:
            self._on_certificate(peer, certificate, now_s)
        if reply.part + 1 >= reply.parts:
            self._catchup.answered(peer, reply.index, self.pace.round, now_s)
        return None

    def _on_part(self, peer: int, message: SnapshotPart, now_s: float) -> None:
        """Add a part of a snapshot; a complete snapshot makes a new core begin with it, as after a restart."""
        if (data := self._sync.part(peer, message, now_s)) is not None:
            self.effects.persist += self.snapshots.adopt(Snapshot.decode(data))
            self.effects.again = True

    def _deliver(self, certificate: Certificate, now_s: float) -> None:
        """Add a certificate whose parents are held to the DAG."""
        for one, block, events in self.blocks.add(certificate):
            if block is not None:
                self.effects.blocks.append(block)
            if not self._replaying:
                self.effects.persist += self.archive.put(one)
            self._certificates.received(one.digest)
            if one.round > self.blocks.floor:
                for name in self.payload.missing(one.header.payload):
                    self._batches.request(name, (one.author,), now_s)
            if one.author == self.me:
                self.proposer.certified(one)
            if self.pace.note_block(one.round, now_s):
                self._tail.advanced(now_s)
                if not self._replaying:
                    self.effects.advanced.append(one.round)
            for event in events:
                self._on_event(event)
            self.voting.arrived(one.digest, now_s)
        self._collect(now_s)

    def _on_event(self, event: Event) -> None:
        self.effects.found.append(event)
        self.delivery.put(event)
        if isinstance(event, Commit):
            for round, author in event.blocks:
                if author == self.me:
                    self.proposer.ordered(round)
            if event.number < self.logged:
                compare(event, self._log)
                return
            self.effects.persist.append(commit_record(event, self.consensus.floor_after(event)))
        if not self._replaying:
            self.effects.events.append(event)

    def _collect(self, now_s: float) -> None:
        """Drop everything below the floor; own batches that will not be ordered any more wait for a header again."""
        self.proposer.lost(self.consensus.order.floor)
        floor = self.blocks.floor
        if floor <= self._floor:
            return
        self._floor = floor
        for certificate in self.blocks.collect():
            self._deliver(certificate, now_s)
        self.voting.collect(floor)
        self.proposer.collect(floor)
        if self._coin is not None:
            self._coin.collect(floor)
        self.effects.floor = floor
        self.effects.workers += [(worker, Cleanup(floor)) for worker in range(self.roster.workers)]

    # After each input

    def _settle(self, now_s: float) -> None:
        """Execute, propose and request, as far as possible now."""
        for event in self.delivery.ready():
            self.effects.execute.append(event)
            if isinstance(event, Commit):
                for slot in event.blocks:
                    for name in self.payload_of(slot):
                        self.payload.drop(name)
                        self.effects.forget.append(name[0])
        if (blocked := self.delivery.blocked) is not None:
            for name in self.payload.missing(self.payload_of(blocked)):
                self._batches.request(name, (blocked[1],), now_s)
        self._end_probe()
        if self._probe is not None:
            if self._probe.ask(now_s):
                self._certificates.ask_newest(self._probe.nonce, self.effects)
            return
        self.proposer.propose(now_s)
        self.proposer.remind(now_s)
        if (peer := self._tail.ask(now_s)) is not None:
            self.effects.send.append((peer, TailRequest(self.pace.round)))
        if request := self._catchup.ask(self.consensus.commits, now_s):
            self.effects.send.append((request[0], StateRequest(request[1])))
        self.effects.send += self._sync.ask(self.consensus.commits, now_s)
        self._certificates.send(now_s, self.effects)
        self._batches.send(now_s, self.effects)

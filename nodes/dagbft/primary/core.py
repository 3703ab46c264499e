"""The core of a primary: messages, batches and the time go in, effects come out.

Invariant: a header is voted for only when all its parents and all its batches are held, once for each (round, author),
and the record of the vote is among the effects that carry it; so is every own header's and certificate's. Whatever
comes from a peer is taken in, parked within bounds, or counted in `rejected` by reason and peer.
"""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from nodes.dagbft.consensus.core import Commit, Consensus, Event
from nodes.dagbft.consensus.dag import Slot
from nodes.dagbft.identity import Roster, Verifier, check_certificate, check_header, check_vote
from nodes.dagbft.messages import (
    Certificate,
    CertReply,
    CertRequest,
    Cleanup,
    Header,
    Message,
    StateReply,
    StateRequest,
    Synchronize,
    Vote,
    vote_digest,
)
from nodes.dagbft.primary.answers import Answers
from nodes.dagbft.primary.ballot import VoteLog
from nodes.dagbft.primary.blocks import Blocks
from nodes.dagbft.primary.catchup import Catchup, Probe
from nodes.dagbft.primary.coin import Coin
from nodes.dagbft.primary.config import PrimaryConfig
from nodes.dagbft.primary.delivery import Delivery
from nodes.dagbft.primary.effects import Effects
from nodes.dagbft.primary.pace import Pace
from nodes.dagbft.primary.payload import ANY, Keys, Name, Payload
from nodes.dagbft.primary.proposer import Proposer
from nodes.dagbft.primary.records import Archive, certificate_records, commit_record, vote_record
from nodes.dagbft.primary.requests import CertificateRequests, SynchronizeRequests
from nodes.dagbft.primary.waiting import Parking
from nodes.dagbft.store import Disk
from nodes.dagbft.wire import decode


class Signer(Protocol):
    def sign(self, digest: bytes) -> bytes: ...


class PrimaryCore:
    """One validator's primary. `genesis` says that a validator without records has not lived before."""

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
    ) -> None:
        self.me = me
        self.roster = roster
        self.config = config
        self.archive = Archive(disk)
        self.consensus = Consensus(roster.committee, config.rules)
        self.blocks = Blocks(self.consensus, coin)
        self.payload = Payload(config.most_batches, config.most_batch_bytes)
        self.votes = VoteLog()
        self.logged = 0  # commits that were on disk when this core began
        self.rejected: Counter[tuple[str, int]] = Counter()  # by reason and peer
        self.counts: Counter[str] = Counter()
        self.effects = Effects()
        n = roster.committee.n
        self.pace = Pace(me, self.consensus, config, now_s)
        self.proposer = Proposer(self, signer, verifier, coin)
        self._verifier = verifier
        self._signer = signer
        self._coin = coin
        self._parked: Parking[bytes | Name, Header] = Parking()
        self._certificates = CertificateRequests(me, n, config.retry_s, config.retry_peers)
        self._batches = SynchronizeRequests(me, n, config.retry_s, config.retry_peers)
        self._answers = Answers(self.archive, config.most_answers)
        self._delivery = Delivery(lambda slot: bool(self.payload.missing(self.payload_of(slot))))
        self._catchup = Catchup(me, n, config.retry_s, config.sync_after)
        self._probe: Probe | None = None
        self._floor = 0
        self._replaying = False
        self._recover(genesis, now_s)

    def _recover(self, genesis: bool, now_s: float) -> None:
        """Take up what was kept. Commits that were logged are executed again, but are no events any more."""
        votes, headers = list(self.archive.votes()), list(self.archive.headers())
        for slot, header_id in votes:
            self.votes.enter(slot, header_id)
        self.logged = sum(1 for _ in self.archive.commits())
        self._replaying = True
        for header in headers:
            self.payload.carried(header.payload)
        for certificate in self.archive.certificates():
            self._deliver(certificate, now_s)
        self._replaying = False
        if headers:
            self.proposer.resume(headers)
        if not (genesis or votes or headers or self.consensus.dag.layers):
            self._probe = Probe(self.roster.committee.quorum, self.config.retry_s)
        # Own batches that were never ordered: the workers know them.
        self.effects.workers += [(worker, Synchronize((), ())) for worker in range(self.roster.workers)]
        self._settle(now_s)

    # What goes in

    def on_message(self, peer: int, message: Message, now_s: float) -> None:
        """A message of another validator's primary."""
        match message:
            case Header():
                self._on_header(peer, message, now_s)
            case Vote():
                self._on_vote(peer, message, now_s)
            case Certificate():
                self._on_certificate(peer, message, now_s)
            case CertReply(certificates):
                self._on_reply(peer, certificates, now_s)
            case CertRequest(digests):
                found = self._newest() if not digests else self._find(digests)
                for reply in self._answers.certificates(peer, found, 1 + len(digests), now_s):
                    self.effects.send.append((peer, reply))
            case StateRequest(index):
                self.effects.send += [(peer, reply) for reply in self._answers.state(peer, index, now_s)]
            case StateReply():
                self._on_state(peer, message, now_s)
            case _:
                self.reject("misplaced", peer)
        self._settle(now_s)

    def on_batch(
        self, digest: bytes, worker: int, keys: Keys, own: bool, now_s: float, size: int = 0, shard: int = ANY
    ) -> None:
        """An own worker has stored a batch that may write these keys, its own or another validator's.

        Own ones go into headers that are in charge of `shard`.
        """
        name = (digest, worker)
        self.effects.forget += [gone[0] for gone in self.payload.hold(name, keys, size)]
        if own:
            self.payload.offer(name, keys, shard)
        self._batches.got(name)
        for header in self._parked.arrived(name):
            self._try_vote(header, now_s)
        self._settle(now_s)

    def tick(self, now_s: float) -> None:
        """Time has passed."""
        self._settle(now_s)

    # What comes out

    def take(self) -> Effects:
        """What is to be done since the last call."""
        effects, self.effects = self.effects, Effects()
        return effects

    def next_deadline_s(self) -> float:
        """When to call `tick` if nothing happens before."""
        if self._probe is not None:
            return self._probe.due_s
        return min(self.proposer.due_s(), self._certificates.next_s, self._batches.next_s, self._catchup.due_s)

    def payload_of(self, slot: Slot) -> tuple[Name, ...]:
        """The batches of a certified block."""
        certificate = self.certificate_at(slot)
        return certificate.header.payload if certificate is not None else ()

    def certificate_at(self, slot: Slot) -> Certificate | None:
        return self.blocks.at(slot) or self.archive.at(slot)

    def reject(self, reason: str, peer: int) -> None:
        self.rejected[reason, peer] += 1

    @property
    def may_propose(self) -> bool:
        """Whether a header of the next round would be of use, and cannot be a second one."""
        round = self.pace.round + 1
        return self._probe is None and round > self.votes.quiet and round >= self._catchup.seen

    # Headers and votes

    def _on_header(self, peer: int, header: Header, now_s: float) -> None:
        slot = (header.round, header.author)
        if peer != header.author:
            return self.reject("sender", peer)
        if header.round <= self.blocks.floor + (self.blocks.floor > 0):  # its parents must be held, too
            return self.reject("stale", peer)
        if header.round > max(self.proposer.round, self.pace.round) + self.config.window:
            return self.reject("future", peer)
        if reason := check_header(header, self.roster, self._verifier):
            return self.reject(reason, peer)
        if self._coin is not None and not self._coin.accepts(header.author, header.round, header.coin_share):
            return self.reject("coin", peer)
        if slot in self._parked:
            return self.reject("parked", peer)
        return self._try_vote(header, now_s)

    def _try_vote(self, header: Header, now_s: float) -> None:
        """Vote for a sound header, or park it until its parents and batches are here."""
        author, round = header.author, header.round
        voted = self.votes.find((round, author))
        if voted is not None and voted != header.id:
            return self.reject("equivocation", author)
        if self._probe is not None or (voted is None and round <= self.votes.quiet):
            self.counts["quiet"] += 1
            return None
        parents = [parent for parent in header.parents if self.blocks.get(parent) is None]
        batches = self.payload.missing(header.payload)
        if (parents or batches) and voted is None:
            return self._park(header, parents, batches, now_s)
        if voted is None:
            if self.blocks.parents(round, header.parents) is None:
                return self.reject("parents", author)
            if self.payload.summary(header.payload) != header.summary:
                return self.reject("summary", author)
            self.votes.enter((round, author), header.id)
            self.effects.persist.append(vote_record(round, author, header.id))
        signature = self._signer.sign(vote_digest(header.id, round, author))
        self.effects.send.append((author, Vote(header.id, round, author, self.me, signature)))
        return None

    def _park(self, header: Header, parents: list[bytes], batches: list[Name], now_s: float) -> None:
        if self._parked.count(header.author) >= self.config.most_parked:
            return self.reject("parked", header.author)
        lacks = self._parked.lacks(header.author)
        if lacks and lacks + len(parents) + len(batches) > self.config.most_lacking:
            return self.reject("lacking", header.author)
        self._parked.park((header.round, header.author), header, [*parents, *batches])
        self.counts["parked"] += 1
        for parent in parents:
            if not self.blocks.knows(parent):
                self._certificates.want(parent, (header.author,), now_s)
        for name in batches:
            self._batches.want(name, (header.author,), now_s)
        return None

    def _on_vote(self, peer: int, vote: Vote, now_s: float) -> None:
        ballot = self.proposer.ballots.get(vote.round)
        if vote.author != self.me or ballot is None:
            self.counts["late votes"] += 1
            return
        if vote.voter != peer:
            self.reject("voter", peer)
        elif not ballot.concerns(vote):
            self.reject("repeated" if vote.header_id == ballot.header.id else "header", peer)
        elif reason := check_vote(vote, self.roster, self._verifier):
            self.reject(reason, peer)
        elif certificate := self.proposer.count(ballot, vote):
            self._deliver(certificate, now_s)

    # Certificates

    def _on_certificate(self, peer: int, certificate: Certificate, now_s: float) -> None:
        digest = certificate.digest
        if self.blocks.knows(digest):
            return
        if not self.blocks.of_use(certificate):
            return self.reject("stale", peer)
        if reason := check_certificate(certificate, self.roster, self._verifier):
            return self.reject(reason, peer)
        self._catchup.note(certificate.round, self.pace.round, self.consensus.commits, now_s)
        if certificate.round > self.pace.round + self.config.window:
            self.counts["ahead"] += 1
            return None
        self._certificates.got(digest)
        if not self.blocks.missing(certificate):
            return self._deliver(certificate, now_s)
        for parent in self.blocks.unknown(certificate):
            self._certificates.want(parent, (certificate.author, peer), now_s)
        return self.blocks.park(certificate)

    def _on_reply(self, peer: int, certificates: tuple[Certificate, ...], now_s: float) -> None:
        if self._probe is not None:
            newest = max((each.round for each in certificates if self._is_sound(each)), default=0)
            quiet = self._probe.answer(peer, newest)
            if quiet is not None:
                self.votes.quiet = quiet
                self._probe = None
        for certificate in certificates:
            self._on_certificate(peer, certificate, now_s)

    def _is_sound(self, certificate: Certificate) -> bool:
        return not check_certificate(certificate, self.roster, self._verifier)

    def _on_state(self, peer: int, reply: StateReply, now_s: float) -> None:
        try:
            message = decode(reply.body)
        except ValueError:
            return self.reject("state", peer)
        if not isinstance(message, CertReply):
            return self.reject("state", peer)
        for certificate in message.certificates:
            self._on_certificate(peer, certificate, now_s)
        if reply.part + 1 >= reply.parts:
            self._catchup.answered(reply.index, self.pace.round, now_s)
        return None

    def _deliver(self, certificate: Certificate, now_s: float) -> None:
        """Feed the DAG with a certificate that lacks nothing."""
        for one, block, events in self.blocks.add(certificate):
            if block is not None:
                self.effects.blocks.append(block)
            if not self._replaying:
                self.effects.persist += certificate_records(one)
            self._certificates.got(one.digest)
            if one.round > self.blocks.floor:
                for name in self.payload.missing(one.header.payload):
                    self._batches.want(name, (one.author,), now_s)
            if one.author == self.me:
                self.proposer.certified(one)
            if self.pace.note_block(one.round, now_s) and not self._replaying:
                self.effects.advanced.append(one.round)
            for event in events:
                self._on_event(event)
            for header in self._parked.arrived(one.digest):
                self._try_vote(header, now_s)
        self._collect(now_s)

    def _on_event(self, event: Event) -> None:
        self.effects.found.append(event)
        self._delivery.put(event)
        if isinstance(event, Commit):
            for round, author in event.blocks:
                if author == self.me:
                    self.proposer.ordered(round)
            if event.number < self.logged:
                return
            self.effects.persist.append(commit_record(event))
        if not self._replaying:
            self.effects.events.append(event)

    def _collect(self, now_s: float) -> None:
        """Forget what is below the floor; own batches that will not be ordered any more wait again."""
        self.proposer.lost(self.consensus.order.floor)
        floor = self.blocks.floor
        if floor <= self._floor:
            return
        self._floor = floor
        for certificate in self.blocks.collect():
            self._deliver(certificate, now_s)
        gone = self.votes.collect(floor)
        self.effects.persist += [vote_record(*slot, None) for slot in gone]
        for header in self._parked.collect(floor + 1):  # what certified blocks lack, too, is asked for again when due
            for name in header.payload:
                if not self._parked.wants(name):
                    self._batches.got(name)
        self.proposer.collect(floor)
        if self._coin is not None:
            self._coin.collect(floor)
        self._certificates.keep(lambda digest: self.blocks.wants(digest) or self._parked.wants(digest))
        self.effects.floor = floor
        self.effects.workers += [(worker, Cleanup(floor)) for worker in range(self.roster.workers)]

    def _find(self, digests: tuple[bytes, ...]) -> list[Certificate]:
        found = (self.blocks.get(digest) or self.archive.certificate(digest) for digest in digests)
        return [certificate for certificate in found if certificate is not None]

    def _newest(self) -> list[Certificate]:
        """One block of the highest round of which one is held."""
        layers = self.consensus.dag.layers
        top = max((round for round, layer in layers.items() if layer.held), default=0)
        return [found for author in range(self.roster.committee.n) if (found := self.blocks.at((top, author)))][:1]

    # What follows from all this

    def _settle(self, now_s: float) -> None:
        """Execute, propose and ask, as far as it can be done now."""
        for event in self._delivery.ready():
            self.effects.execute.append(event)
            if isinstance(event, Commit):
                for slot in event.blocks:
                    for name in self.payload_of(slot):
                        self.payload.drop(name)
                        self.effects.forget.append(name[0])
        if (blocked := self._delivery.blocked) is not None:
            for name in self.payload.missing(self.payload_of(blocked)):
                self._batches.want(name, (blocked[1],), now_s)
        if self._probe is not None:
            if self._probe.ask(now_s):
                self._certificates.ask_newest(self.effects)
            return
        self.proposer.propose(now_s)
        if asked := self._catchup.ask(now_s):
            self.effects.send.append((asked[0], StateRequest(asked[1])))
        self._certificates.send(now_s, self.effects)
        self._batches.send(now_s, self.effects)

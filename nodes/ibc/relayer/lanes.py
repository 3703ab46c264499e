"""Work of one direction: what chain `source` can prove, brought to chain `target` in rounds.

Invariant: before anything is signed the target is asked what it has already; what was done there meanwhile, by
whomever, is not done again. A round has one client update for all its packets, and ends when it is known what became
of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from nodes.ibc.core import paths
from nodes.ibc.proto import channel, channel_v2, queries, queries_v2
from nodes.ibc.proto.ibc import Height
from nodes.ibc.proto.wire import Message
from nodes.ibc.relayer.book import Book, Work
from nodes.ibc.relayer.calls import Ask, Blocked, Flow, Proven, Stored, Unanswered, Wait
from nodes.ibc.relayer.clients import Client
from nodes.ibc.relayer.clock import Clock
from nodes.ibc.relayer.follow import Followed
from nodes.ibc.relayer.meter import Meter
from nodes.ibc.relayer.packets import End, Happened, Packet
from nodes.ibc.relayer.signer import Signer
from nodes.ibc.relayer.submission import Outcome

GROUPS = (30, 8, 2, 1, 1)  # messages of one transaction, by how often their packets have failed
MOST_ATTEMPTS = len(GROUPS)
MOST_BYTES = 180_000  # of the messages of one transaction
MOST_PACKETS = 600  # of one round
_ORDER = (Work.ACKNOWLEDGE, Work.TIME_OUT, Work.RECEIVE)  # what ends a packet comes before what begins another
_RETRY_S = 1.0  # after the first failure; it doubles
_LONGEST_RETRY_S = 60.0


@dataclass(frozen=True, slots=True)
class Job:
    """A packet and what is to be done for it in this round."""

    work: Work
    packet: Packet

    @property
    def needed(self) -> int:
        """The least height whose header commits to what is to be proven."""
        return self.packet.height + 1


class Stages:
    """What the time of a round goes to: "event", until a round takes up its oldest new packet; "proof", until all is
    proven; "submitted", until the mempool has the transactions; "confirmed", until they are seen in a block."""

    def __init__(self, clock: Clock, meter: Meter) -> None:
        self._clock, self._meter = clock, meter
        self._begin_ns = clock.now_ns

    def seen(self, jobs: Sequence[Job]) -> None:
        """The round begins; what it is to deliver for the first time was sent before."""
        new = [job.packet for job in jobs if job.work is Work.RECEIVE and not job.packet.attempts]
        sent_ns = [packet.sent_ns for packet in new if packet.sent_ns]
        if sent_ns:
            self._begin_ns = min(sent_ns)
            self.end("event")

    def end(self, stage: str, at_ns: int | None = None) -> None:
        """A stage ends, now where no moment is given, and the next one begins."""
        end_ns = self._clock.now_ns if at_ns is None else at_ns
        self._meter.stage(stage, (end_ns - self._begin_ns) / 1e9)
        self._begin_ns = end_ns


class Lane:
    """One direction of a path."""

    def __init__(
        self, source: End, target: End, book: Book, client: Client, signer: Signer, proves: Followed, acts: Followed,
        clock: Clock, meter: Meter,
    ) -> None:  # fmt: skip
        self.source, self.target = source, target
        self.blocked = ""  # why nothing goes this way now
        self.rounds = 0
        self._book = book
        self._client = client
        self._signer = signer
        self._proves, self._acts = proves, acts
        self._clock = clock
        self._meter = meter
        self._taken: set[str] = set()  # packets of rounds under way
        self._pauses: dict[str, float] = {}  # until when a packet that has failed waits

    def ready(self) -> list[Job]:
        """What a round could do now."""
        return [job for job, _ in zip(self._ready(), range(MOST_PACKETS), strict=False)]

    def _ready(self) -> Iterator[Job]:
        for work in _ORDER:
            for packet in self._book.queue(work, self.target.name):
                other = packet.source if work is Work.RECEIVE else packet.destination
                if other != self.source.name:
                    continue
                if not self._waits(work, packet):
                    yield Job(work, packet)
                elif packet.ordered:
                    break  # those after it fail before it is through

    def _waits(self, work: Work, packet: Packet) -> bool:
        """Whether nothing can be done for a packet yet."""
        if work is Work.RECEIVE and not self._book.closed.keys().isdisjoint((self.source.name, self.target.name)):
            return True  # it could not be received, or not be acknowledged: it times out once both ends are closed
        paused = packet.name in self._taken or self._pauses.get(packet.name, 0.0) > self._clock.now_ns
        return paused or packet.height >= self._proves.height

    def run(self) -> Flow[None]:
        """Rounds, for ever. Several of these may run side by side: no packet is in two rounds."""
        failures = 0
        while True:
            yield Wait(lambda: next(self._ready(), None) is not None)
            jobs = self.ready()
            names = {job.packet.name for job in jobs}
            self._taken |= names
            try:
                yield from self._round(jobs)
                failures, self.blocked = 0, ""
            except (Unanswered, Blocked) as failure:
                failures += 1
                self.blocked = str(failure)
                wait_s = min(_RETRY_S * 2 ** (failures - 1), _LONGEST_RETRY_S)
                self._taken -= names
                yield Wait(lambda: False, self._clock.after_s(wait_s))
            finally:
                self._taken -= names

    def _round(self, jobs: Sequence[Job]) -> Flow[None]:
        self.rounds += 1
        stages = Stages(self._clock, self._meter)
        stages.seen(jobs)
        jobs = yield from self._still_due(jobs)
        if not jobs:
            return
        needed, head = max(job.needed for job in jobs), self._proves.height
        height, updates = yield from self._client.reach(needed, head)
        keys = [key for job in jobs for key in self._keys(job)]
        calls = tuple(Stored(self.source.chain, key, height - 1) for key in keys)
        proofs = iter((yield calls))
        made = [(job, self._message(job, height, [next(proofs) for _ in self._keys(job)])) for job in jobs]
        messages = [(job, message) for job, message in made if message is not None]
        stages.end("proof")
        if messages:
            groups = list(_grouped(messages))
            first = [*updates, *(message for _, message in groups[0])]
            rest = [[message for _, message in group] for group in groups[1:]]
            outcomes = yield from self._signer.submit([first, *rest])
            stages.end("submitted", max(outcome.admitted_ns for outcome in outcomes) or None)
            stages.end("confirmed")
            jobs_of = [[job for job, _ in group] for group in groups]
            self._measure(jobs_of, outcomes)
            self._judge(jobs_of, outcomes)

    def _measure(self, groups: Sequence[Sequence[Job]], outcomes: Sequence[Outcome]) -> None:
        """Tell how long transactions took that did what they should."""
        for group, outcome in zip(groups, outcomes, strict=True):
            if outcome.admitted_ns and not outcome.code:
                seen_ns = min(job.packet.seen_ns for job in group)
                for stage, at_ns in (("submitted", outcome.admitted_ns), ("confirmed", self._clock.now_ns)):
                    self._meter.latency(f"tx_latency_{stage}", self.source, self.target, (at_ns - seen_ns) / 1e9)

    def _judge(self, groups: Sequence[Sequence[Job]], outcomes: Sequence[Outcome]) -> None:
        """Count failures: those after a failed first transaction may be for want of its client update.

        Over an ordered channel those after any failed one may be for want of that.
        """
        for place, (group, outcome) in enumerate(zip(groups, outcomes, strict=True)):
            before = outcomes[: place if group[0].packet.ordered else min(place, 1)]
            if outcome.lost:
                self._pause(group, 0)
            elif outcome.code and not any(each.code for each in before):
                for job in group:
                    self._book.failed(job.packet, f"{outcome.codespace} {outcome.code}: {outcome.log}", MOST_ATTEMPTS)
                self._pause(group, group[0].packet.attempts)

    def _pause(self, group: Sequence[Job], attempts: int) -> None:
        until_ns = self._clock.after_s(min(_RETRY_S * 2**attempts, _LONGEST_RETRY_S))
        self._pauses = {name: end for name, end in self._pauses.items() if end > self._clock.now_ns}
        self._pauses.update((job.packet.name, until_ns) for job in group)

    def _still_due(self, jobs: Sequence[Job]) -> Flow[Sequence[Job]]:
        """The jobs that the target has not seen done. Of the others the book learns that they are."""
        end = self.target
        receive = [job.packet.sequence for job in jobs if job.work is Work.RECEIVE]
        settle = [job.packet.sequence for job in jobs if job.work is not Work.RECEIVE]
        asks = ([unreceived(end, receive)] if receive else []) + ([unacknowledged(end, settle)] if settle else [])
        answers = iter((yield tuple(asks)))
        unreceived_here = set(next(answers).sequences) if receive else set()
        committed_here = set(next(answers).sequences) if settle else set()
        left = []
        for job in jobs:
            if self._book.packets.get(job.packet.name) != job.packet:
                continue  # something was seen of it while the target was asked
            if job.work is Work.RECEIVE and job.packet.sequence not in unreceived_here:
                self._book.step(job.packet, Happened.RECEIVE)
            elif job.work is not Work.RECEIVE and job.packet.sequence not in committed_here:
                self._book.step(job.packet, Happened.SETTLE)
            elif job.work is Work.RECEIVE and job.packet.expired(self._acts.height, self._acts.time_ns, end.v2):
                late = replace(job.packet, height=self._acts.height - 1, seen_ns=self._clock.now_ns)
                self._book.step(late, Happened.EXPIRE)
            else:
                left.append(job)
        return left

    def _keys(self, job: Job) -> list[bytes]:
        """The keys at the source that are to be proven."""
        source, number = self.source, job.packet.sequence
        if source.v2:
            key = {
                Work.RECEIVE: paths.packet_commitment_v2,
                Work.ACKNOWLEDGE: paths.packet_acknowledgement_v2,
                Work.TIME_OUT: paths.packet_receipt_v2,
            }[job.work]
            return [key(source.client, number)]
        port, name = source.port, source.channel
        if job.work is Work.RECEIVE:
            return [paths.packet_commitment(port, name, number)]
        if job.work is Work.ACKNOWLEDGE:
            return [paths.packet_acknowledgement(port, name, number)]
        closed = [paths.channel_end(port, name)] if job.packet.closed else []
        absent = paths.next_sequence_receive(port, name) if job.packet.ordered else paths.packet_receipt(
            port, name, number)  # fmt: skip
        return [absent, *closed]

    def _message(self, job: Job, number: int, proven: Sequence[Proven]) -> Message | None:
        """The message; None where the source shows that it is not due."""
        packet, height, first = job.packet, self._client.height(number), proven[0]
        received = int.from_bytes(first.value) > packet.sequence if packet.ordered else bool(first.value)
        if job.work is Work.TIME_OUT and received:
            self._book.step(packet, Happened.RECEIVE)
            return None
        if job.work is not Work.TIME_OUT and not first.value:
            if job.work is Work.RECEIVE:
                self._book.step(packet, Happened.SETTLE)
            return None
        return _v2(job, first.proof, height) if self.source.v2 else _v1(job, proven, height)


def _v2(job: Job, proof: bytes, height: Height) -> Message:
    packet = job.packet.v2()
    if job.work is Work.RECEIVE:
        return channel_v2.MsgRecvPacket(packet, proof, height, "")
    if job.work is Work.ACKNOWLEDGE:
        answer = channel_v2.Acknowledgement.decode(job.packet.acknowledgement)
        return channel_v2.MsgAcknowledgement(packet, answer, proof, height, "")
    return channel_v2.MsgTimeout(packet, proof, height, "")


def _v1(job: Job, proven: Sequence[Proven], height: Height) -> Message:
    packet, proof = job.packet.v1(), proven[0].proof
    if job.work is Work.RECEIVE:
        return channel.MsgRecvPacket(packet, proof, height, "")
    if job.work is Work.ACKNOWLEDGE:
        return channel.MsgAcknowledgement(packet, job.packet.acknowledgement, proof, height, "")
    next_receive = int.from_bytes(proven[0].value) if job.packet.ordered else 1
    if job.packet.closed:
        return channel.MsgTimeoutOnClose(packet, proof, proven[1].proof, height, next_receive, "")
    return channel.MsgTimeout(packet, proof, height, next_receive, "")


def _grouped(messages: Sequence[tuple[Job, Message]]) -> Iterator[list[tuple[Job, Message]]]:
    """Messages in groups for one transaction each: those that failed are alone with others that failed as often.

    Packets of an ordered channel stay in the order of their sequences.
    """
    worst = max(job.packet.attempts for job, _ in messages)

    def attempts(pair: tuple[Job, Message]) -> int:
        return worst if pair[0].packet.ordered else pair[0].packet.attempts

    def place(pair: tuple[Job, Message]) -> tuple[int, int]:
        return attempts(pair), pair[0].packet.sequence if pair[0].packet.ordered else 0

    for often, alike in groupby(sorted(messages, key=place), key=attempts):
        most = GROUPS[min(often, MOST_ATTEMPTS - 1)]
        group: list[tuple[Job, Message]] = []
        size = 0
        for pair in alike:
            length = len(pair[1].encode())
            if group and (len(group) >= most or size + length > MOST_BYTES):
                yield group
                group, size = [], 0
            group.append(pair)
            size += length
        yield group


def unreceived(end: End, sequences: Sequence[int]) -> Ask:
    """Which of these packets an end has not received."""
    numbers = tuple(sequences)
    if end.v2:
        asked = queries_v2.QueryUnreceivedPacketsRequest(end.client, numbers)
        path = "/ibc.core.channel.v2.Query/UnreceivedPackets"
        return Ask(end.chain, path, asked, queries_v2.QueryUnreceivedPacketsResponse)
    of_v1 = queries.QueryUnreceivedPacketsRequest(end.port, end.channel, numbers)
    path = "/ibc.core.channel.v1.Query/UnreceivedPackets"
    return Ask(end.chain, path, of_v1, queries.QueryUnreceivedPacketsResponse)


def unacknowledged(end: End, sequences: Sequence[int]) -> Ask:
    """Which of these packets an end still has a commitment of."""
    numbers = tuple(sequences)
    if end.v2:
        asked = queries_v2.QueryUnreceivedAcksRequest(end.client, numbers)
        path = "/ibc.core.channel.v2.Query/UnreceivedAcks"
        return Ask(end.chain, path, asked, queries_v2.QueryUnreceivedAcksResponse)
    of_v1 = queries.QueryUnreceivedAcksRequest(end.port, end.channel, numbers)
    return Ask(end.chain, "/ibc.core.channel.v1.Query/UnreceivedAcks", of_v1, queries.QueryUnreceivedAcksResponse)

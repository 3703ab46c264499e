"""What is to be done for each message that is not settled: one job at a time, as the chains' events say.

Invariant: a job follows from the blocks that were read alone, in whatever order those of different chains came; so a
relayer that starts anew and reads them again has the same jobs, and keeps nothing on disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from math import inf

from nodes.ibc.relayer.calls import Block
from nodes.xroute.identity import ChainIdentity
from nodes.xroute.module.messages import Answer, Fee
from nodes.xroute.policy.clauses import Policy
from nodes.xroute.proofs.messages import HopRecord, Mode
from nodes.xroute.proofs.parcel import Parcel
from nodes.xroute.relayer.events import Announced, Answered, Contradicted, Forwarded, Seen, Sent, Settled
from nodes.xroute.relayer.turns import Turns

__all__ = ["Job", "Jobs", "Work"]

MOST_SETTLED = 1 << 16  # that are remembered
_NS = 10**9


class Work(Enum):
    """What a job is."""

    DELIVER = "deliver"  # in mode QUORUM: announce
    RELEASE = "release"  # what was announced
    CONTRADICT = "contradict"  # what was announced, and its source has not sent
    ACKNOWLEDGE = "acknowledge"
    TIME_OUT = "time out"


@dataclass(eq=False)
class Job:
    """Something that `far` is to be proved to hold, or not to hold, to the chain `near`."""

    work: Work
    message_id: bytes
    parcel: Parcel
    policy: Policy  # the sender's
    fee: Fee
    near: ChainIdentity
    far: ChainIdentity
    height: int  # of far: after this block it can be proved
    key: bytes
    records: tuple[HopRecord, ...] = ()
    answer: Answer | None = None
    attempts: int = 0
    due_ns: float = 0.0  # not to be tried before
    busy: bool = False
    sent_ns: int = 0
    avoided: set[ChainIdentity] = field(default_factory=set)  # as transits: it went over them already, or in vain

    @property
    def is_proved(self) -> bool:
        """Whether it is done by a route; the others stand on signatures, or on a model of a proof."""
        without = self.work is Work.DELIVER and self.parcel.envelope.mode in (Mode.QUORUM, Mode.ZK_MODEL)
        return not without and self.work is not Work.RELEASE


@dataclass(eq=False)
class _Message:
    """One message, as far as is known of it."""

    id: bytes
    parcel: Parcel
    policy: Policy | None = None  # None until its source was read
    fee: Fee = field(default_factory=Fee)
    sent_ns: int = 0
    holders: dict[ChainIdentity, tuple[int, tuple[HopRecord, ...]]] = field(default_factory=dict)  # who committed, when
    answers: dict[ChainIdentity, tuple[int, Answer]] = field(default_factory=dict)
    announced: Announced | None = None
    job: Job | None = None


def _to_certify(message: _Message) -> Job | None:
    job = message.job
    is_of_quorum = message.parcel.envelope.mode is Mode.QUORUM
    return job if is_of_quorum and job is not None and job.work is Work.DELIVER else None


class Jobs:
    """All messages that are not settled."""

    def __init__(self, turns: Turns | None = None, prove_ns: float = inf) -> None:
        """`prove_ns`: what an object of mode ZK_MODEL takes to make, in the model; infinite where none is made."""
        self._turns = turns or Turns()
        self._prove_ns = prove_ns
        self._messages: dict[bytes, _Message] = {}
        self._by_near: dict[ChainIdentity, dict[Job, None]] = {}
        self._settled: dict[bytes, None] = {}  # messages whose other events may still come
        self.delivered = 0
        self.delivered_by_model = 0  # of these: nothing was proved
        self.settled = 0

    def of(self, near: ChainIdentity, now_ns: int) -> Iterator[Job]:
        """Those to one chain that can be tried now, the oldest first."""
        jobs = self._by_near.get(near, {})
        return (job for job in list(jobs) if not job.busy and job.due_ns <= now_ns)

    def to_certify(self) -> Iterator[Job]:
        """Messages of mode QUORUM that relayers are to sign for."""
        return filter(None, map(_to_certify, self._messages.values()))

    def to_certify_of(self, message_id: bytes) -> Job | None:
        """That of one message; None where relayers are not to sign for it."""
        message = self._messages.get(message_id)
        return None if message is None else _to_certify(message)

    def ready(self, job: Job, now_ns: int) -> None:
        """What a job waited for is there: enough signatures, or the end of the time for contradiction."""
        if job.due_ns == inf:
            job.due_ns = now_ns + self._turns.wait_ns(job.near, job.far)

    def __len__(self) -> int:
        return len(self._messages)

    def holds(self, job: Job) -> bool:
        """Whether a job is still to be done."""
        message = self._messages.get(job.message_id)
        return message is not None and message.job is job

    def saw(self, chain: ChainIdentity, block: Block, seen: Seen) -> int:
        """An event of a chain. For one that settles a message of which it is known, when that was sent; 0 otherwise."""
        if isinstance(seen, Settled):
            message = self._messages.pop(seen.message_id, None)
            if message is not None:
                self._set(message, None)
            self._settled[seen.message_id] = None
            if len(self._settled) > MOST_SETTLED:
                del self._settled[next(iter(self._settled))]
            self.settled += 1
            return message.sent_ns if message else 0
        if isinstance(seen, Contradicted):
            self._contradicted(chain, seen.message_id, block.time_ns)
            return 0
        message_id, way = seen.parcel.id, seen.parcel.way
        may_say = {Sent: way[:1], Forwarded: way[1:-1], Announced: way[-1:], Answered: way[1:]}[type(seen)]
        if message_id in self._settled or chain not in may_say:
            return 0
        message = self._messages.setdefault(message_id, _Message(message_id, seen.parcel))
        match seen:
            case Sent():
                message.policy, message.fee, message.sent_ns = seen.policy, seen.fee, block.time_ns
                message.holders[chain] = block.height, ()
            case Forwarded():
                message.holders[chain] = block.height, seen.records
            case Announced():
                message.announced = seen
            case Answered():
                if chain == seen.parcel.destination:
                    self.delivered += 1
                    self.delivered_by_model += seen.parcel.envelope.mode is Mode.ZK_MODEL
                message.answers[chain] = block.height, seen.answer
        self._renew(message, block.time_ns)
        return 0

    def _contradicted(self, chain: ChainIdentity, message_id: bytes, now_ns: int) -> None:
        message = self._messages.get(message_id)
        if message is None or chain != message.parcel.destination:
            return
        message.announced = None
        self._set(message, None)
        if message.policy is None:
            del self._messages[message_id]
        self._renew(message, now_ns)

    def _renew(self, message: _Message, now_ns: int) -> None:
        """Set the job that follows from what is known; none as long as the source was not read."""
        if message.policy is None:
            return
        way, parcel = message.parcel.way, message.parcel
        terms = message.id, parcel, message.policy, message.fee
        answered = next((place for place, chain in enumerate(way) if chain in message.answers), None)
        if answered is not None:
            height, answer = message.answers[way[answered]]
            ends = way[answered - 1], way[answered]
            made = Job(Work.ACKNOWLEDGE, *terms, *ends, height, parcel.acknowledgement_key, answer=answer)
        elif message.announced is not None:
            made = Job(Work.RELEASE, *terms, parcel.destination, parcel.source, 0, b"", due_ns=inf)
        else:
            place = max(place for place, chain in enumerate(way) if chain in message.holders)
            height, records = message.holders[way[place]]
            key, _ = parcel.committed(records)
            due_ns = {Mode.QUORUM: inf, Mode.ZK_MODEL: message.sent_ns + self._prove_ns}
            made = Job(
                Work.DELIVER, *terms, way[place + 1], way[place], height, key, records,
                due_ns=due_ns.get(parcel.envelope.mode, 0.0), sent_ns=message.sent_ns,
            )  # fmt: skip
        job = message.job
        if job is None or (job.work, job.near, job.far) != (made.work, made.near, made.far):
            made.due_ns = max(made.due_ns, now_ns + self._turns.wait_ns(made.near, made.far))
            self._set(message, made)

    def _set(self, message: _Message, job: Job | None) -> None:
        if message.job is not None:
            del self._by_near[message.job.near][message.job]
        message.job = job
        if job is not None:
            self._by_near.setdefault(job.near, {})[job] = None

    def passed(self, chain: ChainIdentity, block: Block) -> None:
        """A chain has made a block: what it can no longer receive is to be timed out, what was announced on it may be
        due, and what was announced elsewhere as its own, and is not, is to be contradicted."""
        for message in self._messages.values():
            job, parcel, announced = message.job, message.parcel, message.announced
            is_false = announced is not None and message.policy is None and chain == parcel.source
            if announced is not None and is_false and job is None and block.time_ns > announced.seen_ns:
                self._set(message, self._contradiction(message, announced, block.height - 1))
            if job is None or job.near != chain or job.work not in (Work.DELIVER, Work.RELEASE):
                continue
            if block.time_ns >= parcel.packet.timeout_timestamp * _NS:
                terms = message.id, parcel, job.policy, job.fee
                made = Job(Work.TIME_OUT, *terms, job.far, chain, block.height - 1, parcel.receipt_key)
                made.due_ns = block.time_ns + self._turns.wait_ns(job.far, chain)
                self._set(message, made)
            elif announced is not None and job.due_ns == inf and block.time_ns >= announced.due_ns:
                self.ready(job, block.time_ns)

    def _contradiction(self, message: _Message, announced: Announced, height: int) -> Job:
        """That the source does not hold what relayers say to have seen there before."""
        terms = message.id, message.parcel, announced.policy, Fee()
        ends = message.parcel.destination, message.parcel.source
        return Job(Work.CONTRADICT, *terms, *ends, height, message.parcel.commitment_key)

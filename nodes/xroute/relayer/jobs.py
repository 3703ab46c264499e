"""What is to be done for each message that is not settled: one job at a time, as the chains' events say.

Invariant: a job follows from the blocks that were read alone, in whatever order those of different chains came; so a
relayer that starts anew and reads them again has the same jobs, and keeps nothing on disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from nodes.ibc.relayer.calls import Block
from nodes.xroute.identity import ChainIdentity
from nodes.xroute.module.messages import Answer, Fee
from nodes.xroute.policy.clauses import Policy
from nodes.xroute.proofs.messages import HopRecord, Mode
from nodes.xroute.proofs.parcel import Parcel
from nodes.xroute.relayer.events import Answered, Forwarded, Seen, Sent, Settled
from nodes.xroute.relayer.turns import Turns

__all__ = ["Job", "Jobs", "Work"]

CARRIED = (Mode.E2E, Mode.HOP)  # the other modes need relayers with a stake, or an oracle
MOST_SETTLED = 1 << 16  # that are remembered
_NS = 10**9


class Work(Enum):
    """What a job is."""

    DELIVER = "deliver"
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
    avoided: set[ChainIdentity] = field(default_factory=set)  # as transits: it went over them already, or in vain


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
    job: Job | None = None


class Jobs:
    """All messages that are not settled."""

    def __init__(self, turns: Turns | None = None) -> None:
        self._turns = turns or Turns()
        self._messages: dict[bytes, _Message] = {}
        self._by_near: dict[ChainIdentity, dict[Job, None]] = {}
        self._settled: dict[bytes, None] = {}  # messages whose other events may still come
        self.delivered = 0
        self.settled = 0

    def of(self, near: ChainIdentity, now_ns: int) -> Iterator[Job]:
        """Those to one chain that can be tried now, the oldest first."""
        jobs = self._by_near.get(near, {})
        return (job for job in list(jobs) if not job.busy and job.due_ns <= now_ns)

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
        message_id, way = seen.parcel.id, seen.parcel.way
        may_say = {Sent: way[:1], Forwarded: way[1:-1], Answered: way[1:]}[type(seen)]
        if message_id in self._settled or seen.parcel.envelope.mode not in CARRIED or chain not in may_say:
            return 0
        message = self._messages.setdefault(message_id, _Message(message_id, seen.parcel))
        match seen:
            case Sent():
                message.policy, message.fee, message.sent_ns = seen.policy, seen.fee, block.time_ns
                message.holders[chain] = block.height, ()
            case Forwarded():
                message.holders[chain] = block.height, seen.records
            case Answered():
                self.delivered += chain == seen.parcel.destination
                message.answers[chain] = block.height, seen.answer
        self._renew(message, block.time_ns)
        return 0

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
        else:
            place = max(place for place, chain in enumerate(way) if chain in message.holders)
            height, records = message.holders[way[place]]
            key, _ = parcel.committed(records)
            made = Job(Work.DELIVER, *terms, way[place + 1], way[place], height, key, records)
        job = message.job
        if job is None or (job.work, job.near, job.far) != (made.work, made.near, made.far):
            made.due_ns = now_ns + self._turns.wait_ns(made.near, made.far)
            self._set(message, made)

    def _set(self, message: _Message, job: Job | None) -> None:
        if message.job is not None:
            del self._by_near[message.job.near][message.job]
        message.job = job
        if job is not None:
            self._by_near.setdefault(job.near, {})[job] = None

    def passed(self, chain: ChainIdentity, block: Block) -> None:
        """A chain has made a block: what it can no longer receive is to be timed out."""
        for message in self._messages.values():
            job, parcel = message.job, message.parcel
            late = block.time_ns >= parcel.packet.timeout_timestamp * _NS
            if late and job is not None and job.work is Work.DELIVER and job.near == chain:
                terms = message.id, parcel, job.policy, job.fee
                made = Job(Work.TIME_OUT, *terms, job.far, chain, block.height - 1, parcel.receipt_key)
                made.due_ns = block.time_ns + self._turns.wait_ns(job.far, chain)
                self._set(message, made)

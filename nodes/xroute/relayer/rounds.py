"""A round: jobs of one route, brought to the chain at its near end together.

Invariant: clients are brought up to date from the far end on, each once for all jobs of the round, and only where they
do not know enough already; the near end's client is updated in the transaction that delivers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any as Anything

from nodes.ibc.proto.comet import SimpleValidator
from nodes.ibc.proto.wire import Message
from nodes.ibc.relayer.calls import Blocked, Flow, SignedHeaderAt, Unanswered, ValidatorsAt, Wait, header_of
from nodes.ibc.relayer.clock import Clock
from nodes.ibc.relayer.follow import Followed
from nodes.ibc.relayer.opening import sent
from nodes.ibc.relayer.signer import UNTRIED, Signer
from nodes.ibc.relayer.submission import Outcome
from nodes.ibc.relayer.tasks import Tasks
from nodes.xroute.identity import ChainIdentity
from nodes.xroute.module.messages import (
    MsgAcknowledge,
    MsgContradict,
    MsgDeliver,
    MsgDeliverByModel,
    MsgDeliverByQuorum,
    MsgRelease,
    MsgTimeout,
)
from nodes.xroute.module.model import model_object
from nodes.xroute.proofs.build import Builder, Leg, Plan
from nodes.xroute.proofs.messages import Mode, RouteProof
from nodes.xroute.relayer.ballots import Ballots
from nodes.xroute.relayer.choice import Legs
from nodes.xroute.relayer.clients import Clients
from nodes.xroute.relayer.jobs import Job, Jobs, Work
from nodes.xroute.relayer.names import Names
from nodes.xroute.relayer.network import Network

__all__ = ["Rounds", "Stalled"]

MOST_MESSAGES = 15  # of one transaction
MOST_BYTES = 180_000
MOST_KNOWN = 8192  # of what is remembered to spare questions and bytes


class Stalled(Blocked):
    """A chain of the route makes no blocks."""

    def __init__(self, chain: ChainIdentity, name: str) -> None:
        super().__init__(f"{name} makes no blocks")
        self.chain = chain


@dataclass
class Rounds:
    """What rounds share: the chains, the relayer's accounts, clients, and answers that several proofs need."""

    network: Network
    jobs: Jobs
    chains: Mapping[str, Followed]
    signers: Mapping[str, Signer]
    clients: Clients
    clock: Clock
    tasks: Tasks
    stall_s: float  # without a block, after which a chain counts as stalled
    ballots: Ballots
    names: Names
    most_gas: int = 0  # of one transaction; 0: no limit
    model_key: bytes = b""  # of the oracle of mode ZK_MODEL
    builder: Builder = field(default_factory=Builder)
    learnt: dict[tuple[str, str, int], int] = field(default_factory=dict)  # the host's block that brought a height
    _known: dict[tuple[str, bytes], None] = field(
        default_factory=dict
    )  # hosts, and what they have seen: sets, policies, chains
    _hashes: dict[tuple[str, int], bytes] = field(default_factory=dict)  # of the validators after a height

    def saw_update(self, host: str, client: str, height: int, block: int) -> None:
        """A block of the host brought a height to a client."""
        self.learnt.setdefault((host, client, height), block)
        known = self.clients.known.get((host, client))
        if known is not None:
            known.learned(height)

    def needs_route(self, job: Job) -> bool:
        """Whether it is done by a route, or is the first that a quorum says there of a chain: then one leads to it."""
        if job.work is Work.DELIVER and job.parcel.envelope.mode is Mode.QUORUM:
            return job.attempts > 0 or (self.network.chain_of[job.near], job.far) not in self._known
        return job.is_proved

    def run(self, route: Legs, batch: Sequence[Job]) -> Flow[list[tuple[Job, Outcome]]]:
        """What became of each job. Blocked, Stalled among it, or Unanswered where nothing was tried for any.

        Jobs that need no route (`needs_route`) have one without hops.
        """
        host = self.network.chain_of[batch[0].near]
        legs: tuple[Leg, ...] = ()
        updates: list[Message] = []
        if route:
            needed = 1 + max(job.height for job in batch)
            if any(job.attempts for job in batch):  # what clients know already may have been too old for a policy
                needed = max(needed, self.chains[self.network.chain_of[batch[0].far]].height)
            legs, updates = yield from self.reach(route, needed)
        sets = yield from self.validators(host, route, legs, anew=any(job.attempts for job in batch))
        messages: list[Message] = []
        batch = [job for job in batch if self.jobs.holds(job)]  # another relayer may have been faster
        if not batch:
            return []
        is_introduced = False
        for job in batch:
            if legs and (job.is_proved or not is_introduced):
                is_introduced |= not job.is_proved
                messages.append((yield from self._proved(job, legs, sets)))
            else:
                messages.append(self._stated(host, job))
        groups = _grouped(updates, list(zip(batch, messages, strict=True)), partial(self._fits, self.signers[host]))
        outcomes = yield from _submitted(self.signers[host], [[message for _, message in group] for group in groups])
        found = []
        for group, outcome in zip(groups, outcomes, strict=True):
            found += [(job, outcome) for job, _ in group if job is not None]
            if not outcome.code:
                self._known |= {(host, self._hashes[each]): None for each in self._tracked(route, legs)}
                self._known |= {(host, job.parcel.envelope.policy_id): None for job, _ in group if job and _ends(job)}
                self._known |= {(host, job.far): None for job, _ in group if job and legs}
        for each in (self._known, self._hashes, self.learnt):
            _forget_oldest(each)
        return found

    def _fits(self, signer: Signer, messages: Sequence[Message]) -> bool:
        """Whether messages go together in one transaction, as far as their gas is known."""
        if not self.most_gas:
            return True
        gas = signer.gas_for(messages)
        return gas is not None and gas <= self.most_gas

    def reach(self, route: Legs, needed: int) -> Flow[tuple[tuple[Leg, ...], list[Message]]]:
        """Let each client of the route know enough: the legs, and updates of the near end's client."""
        legs: list[Leg] = []
        for place, edge in reversed(list(enumerate(route))):
            host, subject = self.network.chain_of[edge.verifier], self.network.chain_of[edge.tracked]
            yield from self._wait(edge.tracked, partial(_is_at, self.chains[subject], needed))
            client = self.clients.client(host, edge.client, subject)
            number, updates = yield from client.reach(needed, self.chains[subject].height)
            legs.insert(0, Leg(host, edge.client, client.height(number)))
            if not place:
                return tuple(legs), updates
            if updates:
                yield from self._updated(edge.verifier, updates)
            needed = 1 + self.learnt.get((host, edge.client, number), self.chains[host].height)
        raise Blocked("a route without hops")

    def _updated(self, chain: ChainIdentity, updates: Sequence[Message]) -> Flow[None]:
        """Until a transit has taken updates. Stalled where it makes no blocks meanwhile: nobody waits for it then."""
        name = self.network.chain_of[chain]
        ended: list[Unanswered | Blocked | None] = []

        def submission() -> Flow[None]:
            try:
                yield from sent(self.signers[name], updates)
            except (Unanswered, Blocked) as failure:
                ended.append(failure)
            else:
                ended.append(None)

        self.tasks.add(f"update on {name}", submission())
        yield from self._wait(chain, lambda: bool(ended))
        if ended[0] is not None:
            raise ended[0]

    def _wait(self, chain: ChainIdentity, done: Callable[[], bool]) -> Flow[None]:
        """Until something is done that needs blocks of a chain. Stalled where it makes none meanwhile."""
        name = self.network.chain_of[chain]
        followed = self.chains[name]
        while not done():
            heard = partial(_has_more_or, followed, followed.announced, done)
            if not (yield Wait(heard, followed.heard_ns + self.stall_s * 1e9)):
                raise Stalled(chain, name)

    def _tracked(self, route: Legs, legs: Sequence[Leg]) -> list[tuple[str, int]]:
        """Each tracked chain, and the height of it that is used."""
        names = [self.network.chain_of[edge.tracked] for edge in route]
        return [(name, leg.height.revision_height) for name, leg in zip(names, legs, strict=True)]

    def validators(
        self, host: str, route: Legs, legs: Sequence[Leg], *, anew: bool = False
    ) -> Flow[dict[int, tuple[SimpleValidator, ...]]]:
        """The validators that the near end has not seen yet, or with `anew` all, by the number of the hop."""
        tracked = self._tracked(route, legs)
        asked = [each for each in tracked if each not in self._hashes]
        headers = yield tuple(SignedHeaderAt(name, height) for name, height in asked)
        same = set()
        for each, header in zip(asked, map(header_of, headers), strict=True):
            self._hashes[each] = header.next_validators_hash
            if header.validators_hash == header.next_validators_hash:
                same.add(each)  # there need not be a block after it to ask for
        places = [place for place, each in enumerate(tracked) if anew or (host, self._hashes[each]) not in self._known]
        for place in places:
            if tracked[place] not in same:
                name, height = tracked[place]
                yield from self._wait(route[place].tracked, partial(_is_at, self.chains[name], height + 1))
        sets = yield tuple(
            ValidatorsAt(tracked[place][0], tracked[place][1] + (tracked[place] not in same)) for place in places
        )
        return {
            place: tuple(SimpleValidator(each.pub_key, each.voting_power) for each in validators)
            for place, validators in zip(places, sets, strict=True)
        }

    def _stated(self, host: str, job: Job, proof: bytes = b"") -> Message:
        """The message of a job that stands on something else than a route; `proof` is of one to its source."""
        packet, payee = job.parcel.packet, self.signers[host].first.key.address
        if job.work is Work.RELEASE:
            return MsgRelease(job.message_id)
        policy = job.policy.encode() if self._brings_policy(host, job) else b""
        if job.parcel.envelope.mode is Mode.ZK_MODEL:
            return MsgDeliverByModel(packet, policy, model_object(self.model_key, job.parcel), payee)
        certificate = self.ballots.certificate(job)
        assert certificate is not None, "the job is due once there is one"
        return MsgDeliverByQuorum(packet, policy, certificate, payee, proof=proof)

    def _brings_policy(self, host: str, job: Job) -> bool:
        """Whether the host may not know the policy: after a refusal it may have dropped it."""
        return _ends(job) and (job.attempts > 0 or (host, job.parcel.envelope.policy_id) not in self._known)

    def proof(
        self, job: Job, legs: tuple[Leg, ...], sets: Mapping[int, tuple[SimpleValidator, ...]]
    ) -> Flow[RouteProof]:
        """The proof of a job over legs that know enough, once all that it needs has been asked for."""
        host, far = self.network.chain_of[job.near], self.network.chain_of[job.far]
        plan = Plan(legs, far, job.key, bool(job.fee.update) and job.work is Work.DELIVER)
        missing = self.builder.missing(plan)
        answers = yield missing
        for question, answer in zip(missing, answers, strict=True):
            self.builder.add(question, answer)
        resolved = yield from self.names.resolve(host, job.policy)
        return self.builder.proof(
            plan,
            job.parcel.packet,
            policy=job.policy.encode() if self._brings_policy(host, job) else b"",
            payee=self.signers[host].first.key.address if job.work is Work.DELIVER else b"",
            names=resolved.proofs,
            records=job.records,
            validators=sets,
        )

    def _proved(
        self, job: Job, legs: tuple[Leg, ...], sets: Mapping[int, tuple[SimpleValidator, ...]]
    ) -> Flow[Message]:
        """The message of a job that has a route."""
        proof = (yield from self.proof(job, legs, sets)).encode()
        if not job.is_proved:
            return self._stated(self.network.chain_of[job.near], job, proof)
        match job.work:
            case Work.DELIVER:
                return MsgDeliver(proof)
            case Work.TIME_OUT:
                return MsgTimeout(proof)
            case Work.CONTRADICT:
                return MsgContradict(job.message_id, proof)
        assert job.work is Work.ACKNOWLEDGE
        assert job.answer is not None
        return MsgAcknowledge(proof, job.answer)


def _submitted(signer: Signer, groups: Sequence[Sequence[Message]]) -> Flow[list[Outcome]]:
    """What became of each transaction. One whose gas is not known yet follows once all before it have succeeded: it is
    simulated, and needs their updates."""
    outcomes: list[Outcome] = yield from signer.submit(groups)
    while UNTRIED in outcomes:
        tried = outcomes.index(UNTRIED)
        if any(outcome.code for outcome in outcomes[:tried]):
            break
        outcomes[tried:] = yield from signer.submit(groups[tried:])
    return outcomes


def _ends(job: Job) -> bool:
    """Whether a job brings a message to its destination, which judges its policy, and keeps it: no other chain does."""
    return job.work is Work.DELIVER and job.near == job.parcel.destination


def _forget_oldest(known: dict[Anything, Anything]) -> None:
    while len(known) > MOST_KNOWN:
        del known[next(iter(known))]


def _has_more_or(followed: Followed, height: int, done: Callable[[], bool]) -> bool:
    return followed.announced > height or done()


def _is_at(followed: Followed, height: int) -> bool:
    return followed.height >= height


_Group = list[tuple[Job | None, Message]]


def _grouped(
    updates: Sequence[Message], carried: Sequence[tuple[Job, Message]], fits: Callable[[Sequence[Message]], bool]
) -> list[_Group]:
    """Transactions: updates first, then as many messages as fit; a job that failed before is alone in its own, and
    updates are apart from it, as others need them."""
    groups: list[_Group] = [[(None, update) for update in updates]]
    size = 0
    for job, message in carried:
        last = groups[-1]
        count = sum(each is not None for each, _ in last)
        is_full = count >= MOST_MESSAGES or size + len(message.encode()) > MOST_BYTES
        is_full = is_full or not fits([*(each for _, each in last), message])
        is_alone = job.attempts or any(each is not None and each.attempts for each, _ in last)
        if last and ((count and is_full) or is_alone):
            groups.append([])
            size = 0
        groups[-1].append((job, message))
        size += len(message.encode())
    return groups

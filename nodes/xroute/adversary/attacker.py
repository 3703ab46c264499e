"""A relayer that forges: it sends messages of its own, makes honest proofs of them, and delivers them changed.

Invariant: at the end it delivers the first message honestly, so what was refused before was refused for its change.
Its messages limit the time of a route to less than any relayer claims: honest relayers leave them to it, and chains do
not judge claims.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from nodes.ibc.chain.transactions import signed_transaction
from nodes.ibc.core.denominations import Denomination
from nodes.ibc.core.transfer import PORT, VERSION
from nodes.ibc.core.transfer_data import JSON, TransferData
from nodes.ibc.proto import cosmos
from nodes.ibc.proto.channel_v2 import Payload
from nodes.ibc.proto.comet import SimpleValidator
from nodes.ibc.relayer.calls import Ask, Blocked, Broadcast, Flow, Unanswered, Wait, opened
from nodes.ibc.relayer.opening import sent
from nodes.ibc.relayer.submission import REDUNDANT
from nodes.xroute.adversary.forgeries import FORGERIES
from nodes.xroute.identity import ChainIdentity
from nodes.xroute.module.messages import MsgDeliver, MsgSend
from nodes.xroute.policy.parser import parse
from nodes.xroute.proofs.build import Leg
from nodes.xroute.proofs.messages import Mode, RouteProof
from nodes.xroute.proofs.parcel import packed
from nodes.xroute.proofs.rejection import Check
from nodes.xroute.relayer.choice import Legs
from nodes.xroute.relayer.core import Relayer, Settings
from nodes.xroute.relayer.jobs import Job, Work

__all__ = ["Attacker", "Played", "Target"]

Refusal = tuple[str, int]  # codespace and code
Sets = Mapping[int, tuple[SimpleValidator, ...]]  # of the chains of a route, by the number of the hop
_UNLIKED = "limit time 1ms"
_GAS = 3_000_000  # of a forged delivery
_RETRY_S = 0.5


@dataclass(frozen=True, slots=True)
class Target:
    """What is attacked: messages from one chain to another, which are joined over a weak transit, too."""

    source: str
    destination: str
    fork: str = ""  # a chain with the chain id of the source, of which the destination has a client; "": none
    fresh_s: float = 20.0  # what the policy allows states to be old
    timeout_s: int = 25  # of the message that is to be late
    lasts_s: int = 600  # of the others


@dataclass(frozen=True, slots=True)
class Played:
    """A delivery that was tried: what had to come of it, and what did."""

    name: str
    expected: Refusal
    found: Refusal
    log: str

    @property
    def is_right(self) -> bool:
        return self.found == self.expected


ACCEPTED: Refusal = ("", 0)


class Attacker(Relayer):
    """It carries nothing but its own messages. `played` is emptied by whoever reads it; `done` once all is over."""

    def __init__(self, settings: Settings, now_ns: int, target: Target) -> None:
        super().__init__(settings, now_ns)
        self.target = target
        self.played: list[Played] = []
        self.done = False
        self.tasks.add("attack", self._insisting(self._attack))

    def _carry(self, host: str) -> Flow[None]:
        yield from ()

    # The play

    def _attack(self) -> Flow[None]:
        target = self.target
        fresh = f"require each hop freshness <= {target.fresh_s:g}s"
        strict = f"xroute/1; require each transit nakamoto >= 2; {fresh}; {_UNLIKED}"
        short = f"xroute/1; limit hops 2; {fresh}; {_UNLIKED}"
        yield Wait(lambda: self.is_ready and len(list(self._routes())) > 1)
        terms = (strict, target.lasts_s), (short, target.timeout_s)
        first, late = yield from self._send(target.source, terms)
        honest, weak = self._honest_and_weak(first)
        _, _, other = yield from self._prove(first, weak)
        legs, sets, proof = yield from self._prove(first, honest)
        long = yield from self.rounds.proof(late, legs, sets)
        built_ns = self.clock.now_ns
        yield from self._play_all(_forged(proof, other, long))
        yield from self._play("a message to another chain", _by(Check.NAME), proof.encode(), legs[1].chain)
        yield from self._play_twice(first, weak)
        if target.fork:
            yield from self._play_fork(strict)
        yield Wait(lambda: False, built_ns + (target.fresh_s + 1) * 1e9)
        yield from self._play("a state that is stale but trusted", _by(Check.CLAUSE), proof.encode())
        yield Wait(lambda: late.work is not Work.DELIVER or not self.jobs.holds(late))
        yield from self._play("a message after its timeout", _by(Check.TIMEOUT), long.encode())
        yield from self._play_true(first, honest, other)
        yield from self._settle(honest, weak)
        self.done = True

    def _honest_and_weak(self, job: Job) -> tuple[Legs, Legs]:
        """The shortest route that satisfies a job's policy, and the shortest that does not."""
        judged = replace(job, policy=replace(job.policy, limits=()))  # but for what keeps others from delivering it
        routes = sorted(self._routes(), key=len)
        honest = next(route for route in routes if self.choice.complies(judged, route))
        return honest, next(route for route in routes if not self.choice.complies(judged, route))

    def _play_true(self, job: Job, honest: Legs, other: RouteProof) -> Flow[None]:
        """What has to be accepted, and then does nothing again."""
        _, _, proof = yield from self._prove(job, honest, anew=True)
        yield from self._play("the honest proof", ACCEPTED, proof.encode())
        yield Wait(lambda: not self.jobs.holds(job))
        yield from self._play("the same proof again", REDUNDANT, proof.encode())
        yield from self._play("the message again by another route", REDUNDANT, other.encode())

    def _play_twice(self, job: Job, route: Legs) -> Flow[None]:
        """A route that goes forth, back, and forth again."""
        back = self.network.graph.reverse(route[0])
        assert back is not None, "a route is of edges that can be used both ways"
        _, _, proof = yield from self._prove(job, (route[0], back, *route))
        yield from self._play("a chain twice on the route", _by(Check.NAME), proof.encode())

    def _play_fork(self, policy: str) -> Flow[None]:
        """A message of a fork that says to be the source's."""
        target = self.target
        (job,) = yield from self._send(target.fork, [(policy, target.lasts_s)])
        edge = next(each for each in self.network.graph.edges if (each.verifier, each.tracked) == (job.near, job.far))
        _, _, proof = yield from self._prove(job, (edge,))
        envelope = replace(job.parcel.envelope, source=self.network.identities[target.source])
        packet = packed(job.parcel.packet.sequence, envelope, job.parcel.packet.timeout_timestamp)
        forged = replace(proof, packet=packet).encode()
        yield from self._play("a fork with the chain id of the source", _by(Check.NAME), forged)

    def _settle(self, honest: Legs, weak: Legs) -> Flow[None]:
        """Bring the answer, and the timeout, as nobody else does."""
        for route, work in ((honest, Work.ACKNOWLEDGE), (weak, Work.TIME_OUT)):
            back = tuple(edge for each in reversed(route) if (edge := self.network.graph.reverse(each)) is not None)
            yield from self._insisting(partial(self._bring, back, work))

    def _bring(self, route: Legs, work: Work) -> Flow[None]:
        """Do what is due of a kind at the source."""
        source = self.network.identities[self.target.source]

        def due() -> list[Job]:
            return [job for job in self.jobs.of(source, self.clock.now_ns) if job.work is work]

        yield Wait(lambda: bool(due()))
        yield from self.rounds.run(route, due())

    # Its means

    def _send(self, chain: str, terms: Sequence[tuple[str, int]]) -> Flow[list[Job]]:
        """Send messages to the destination, each by its policy and with its time in seconds: the jobs of these."""
        signer = self.signers[chain]
        address = signer.first.address
        data = TransferData(Denomination(signer.terms.denom), 1, address, address, "")
        payload = Payload(PORT, PORT, VERSION, JSON, data.encode(JSON))
        destination, now_s = self.network.identities[self.target.destination], self.clock.now_ns // 10**9
        messages = [
            MsgSend(destination, "", parse(policy).encode(), Mode.E2E, now_s + lasts_s, payload)
            for policy, lasts_s in terms
        ]
        outcome = yield from sent(signer, messages, signer.first)
        events = outcome.result.events if outcome.result else ()
        ids = [bytes.fromhex(event["message"]) for event in events if event.type == "xroute_send"]
        yield Wait(lambda: all(self._job(each) is not None for each in ids))
        return [job for job in map(self._job, ids) if job is not None]

    def _job(self, message_id: bytes) -> Job | None:
        near = self.network.identities[self.target.destination]
        return next((job for job in self.jobs.of(near, self.clock.now_ns) if job.message_id == message_id), None)

    def _prove(self, job: Job, route: Legs, *, anew: bool = False) -> Flow[tuple[tuple[Leg, ...], Sets, RouteProof]]:
        """An honest proof of a job by any route, whether it complies or not; the clients on the way are updated, `anew`
        also where they know enough."""
        while True:
            try:
                newest = self.chains[self.network.chain_of[job.far]].height if anew else 0
                legs, updates = yield from self.rounds.reach(route, max(newest, 1 + job.height))
                host = self.network.chain_of[job.near]
                if updates:
                    yield from sent(self.signers[host], updates)
                sets = yield from self.rounds.validators(host, route, legs)
                return legs, sets, (yield from self.rounds.proof(job, legs, sets))
            except (Unanswered, Blocked) as failure:
                self.notes.append(("waits", str(failure)))
                yield Wait(lambda: False, self.clock.after_s(_RETRY_S))

    def _play(self, name: str, expected: Refusal, proof: bytes, host: str = "") -> Flow[None]:
        yield from self._play_all([(name, expected, proof)], host)

    def _play_all(self, forged: Sequence[tuple[str, Refusal, bytes]], host: str = "") -> Flow[None]:
        """Deliver by proofs, each in a transaction as any other: what the chain's mempool or its block says."""
        host = host or self.target.destination
        signer = self.signers[host]
        account = signer.first
        question = cosmos.QueryAccountRequest(account.address)
        ask = Ask(host, "/cosmos.auth.v1beta1.Query/Account", question, cosmos.QueryAccountResponse)
        held = opened((yield (ask,))[0].account, cosmos.BaseAccount)
        transactions = [
            signed_transaction(
                account.key, [MsgDeliver(proof, account.address)], signer.terms.chain_id, held.account_number,
                held.sequence + place, cosmos.Fee((), _GAS),
            )
            for place, (_, _, proof) in enumerate(forged)
        ]  # fmt: skip
        admissions = yield tuple(Broadcast(host, data) for data in transactions)
        account.sequence = None  # it is not the signer that has used some
        taken = [held.sequence + place for place, each in enumerate(admissions) if not each.code]
        yield Wait(lambda: all(each in account.spent for each in taken), self.clock.after_s(signer.terms.confirm_s))
        for place, ((name, expected, _), found) in enumerate(zip(forged, admissions, strict=True)):
            result = account.spent.get(held.sequence + place)
            if not found.code and result is None:
                raise Unanswered(f"{name}: not in a block after {signer.terms.confirm_s:g} s")
            said = found if found.code or result is None else result
            self.played.append(Played(name, expected, (said.codespace, said.code), said.log))

    def _routes(self) -> Iterator[Legs]:
        """All routes between the two chains."""
        identities, graph = self.network.identities, self.network.graph
        source, destination = identities[self.target.source], identities[self.target.destination]

        def beyond(route: Legs, passed: tuple[ChainIdentity, ...]) -> Iterator[Legs]:
            for edge in graph.edges:
                if edge.verifier == passed[-1] and edge.tracked not in passed and graph.is_usable(edge):
                    if edge.tracked == source:
                        yield (*route, edge)
                    else:
                        yield from beyond((*route, edge), (*passed, edge.tracked))

        return beyond((), (destination,))


def _forged(proof: RouteProof, other: RouteProof, long: RouteProof) -> list[tuple[str, Refusal, bytes]]:
    """Deliveries of one message by an honest proof that was changed, and by routes that its policy excludes."""
    changed = [(name, _by(each.check), each.forge(proof, other)) for name, each in FORGERIES.items()]
    return [
        *changed,
        ("a transit that the policy excludes", _by(Check.CLAUSE), other.encode()),
        ("more hops than the policy allows", _by(Check.CLAUSE), long.encode()),
    ]


def _by(check: Check) -> Refusal:
    return ("xroute", 100 + check)

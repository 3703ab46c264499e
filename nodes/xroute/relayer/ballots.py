"""Mode QUORUM among relayers: who signs that a message was seen, and when enough of them have.

Invariant: a relayer signs only for a message that it read from the source's own blocks, with the time of its block, and
for a route that complies by its own graph. What others say is told on only where it brought a signature that counts.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field

from nodes.ibc.proto.scalars import WireError
from nodes.ibc.proto.wire import Message, message, nested, repeated
from nodes.ibc.relayer.clock import Clock
from nodes.xroute.identity import ChainIdentity
from nodes.xroute.keys import Key, is_signed
from nodes.xroute.module.messages import Certificate, Statement, Vote
from nodes.xroute.module.quorum import sign_bytes
from nodes.xroute.module.terms import LEAST_VOTES
from nodes.xroute.proofs.messages import MOST_HOPS, route_id
from nodes.xroute.relayer.choice import Choice, Legs
from nodes.xroute.relayer.jobs import Job, Jobs
from nodes.xroute.relayer.network import Network
from nodes.xroute.relayer.stakes import Stakes
from nodes.xroute.routes.graph import Edge

__all__ = ["Ballots", "Endorsement"]

AGAIN_S = 2.0  # after which what was signed is told again, as long as too few have signed
MOST_STATEMENTS = 16  # about one message


@message("skyloom.xroute.v1.Endorsement")
class Endorsement(Message):
    """A statement, the clients of the route that it names, from the destination on, and signatures under it."""

    statement: Statement = nested(1, Statement)
    clients: tuple[str, ...] = repeated(2, str)
    votes: tuple[Vote, ...] = repeated(3, Vote)


@dataclass(slots=True)
class _Ballot:
    """Signatures under statements about one message."""

    routes: dict[Statement, tuple[str, ...]] = field(default_factory=dict)  # clients
    votes: dict[Statement, dict[bytes, bytes]] = field(default_factory=dict)  # by relayer
    told_ns: float = 0.0


@dataclass
class Ballots:
    """Those of all messages that wait for signatures. `key` is the relayer's own."""

    key: Key
    network: Network
    jobs: Jobs
    choice: Choice
    stakes: Stakes
    clock: Clock
    _ballots: dict[bytes, _Ballot] = field(default_factory=dict)
    _told: list[bytes] = field(default_factory=list)

    def take(self) -> list[bytes]:
        """What other relayers are to be told."""
        told, self._told = self._told, []
        return told

    def tend(self, down: Set[ChainIdentity]) -> None:
        """Sign for messages that are new, tell again what too few have signed, and forget what is over."""
        wanted = {job.message_id: job for job in self.jobs.to_certify()}
        self._ballots = {each: ballot for each, ballot in self._ballots.items() if each in wanted}
        for message_id, job in wanted.items():
            ballot = self._ballots.setdefault(message_id, _Ballot())
            if not ballot.votes:
                route = self.choice.route(job, down)
                if route is None:
                    continue
                self._sign(job, ballot, self.statement(job, route), tuple(edge.client for edge in route))
            if self.certificate(job) is None and self.clock.now_ns >= ballot.told_ns + AGAIN_S * 1e9:
                ballot.told_ns = self.clock.now_ns
                for statement in ballot.votes:
                    self._tell(ballot, statement)

    def hear(self, data: bytes) -> None:
        """What a relayer has told: bytes that are no endorsement of a message known here are nothing."""
        try:
            heard = Endorsement.decode(data)
        except WireError:
            return
        statement = heard.statement
        job = self.jobs.to_certify_of(statement.message_id)
        if job is None or len(heard.clients) > MOST_HOPS:
            return
        ballot = self._ballots.setdefault(job.message_id, _Ballot())
        if statement not in ballot.votes:
            route = self._route(job, heard.clients)
            is_true = route is not None and statement == self.statement(job, route)
            if not is_true or len(ballot.votes) >= MOST_STATEMENTS:
                return
            self._sign(job, ballot, statement, heard.clients)
        if self._count(job, ballot, statement, heard.votes):
            self._tell(ballot, statement)

    def certificate(self, job: Job) -> Certificate | None:
        """The first statement that enough relayers with a stake on the destination have signed."""
        ballot = self._ballots.get(job.message_id, _Ballot())
        for statement, votes in ballot.votes.items():
            if len(votes) >= max(job.parcel.envelope.threshold, LEAST_VOTES):
                return Certificate(statement, tuple(Vote(*each) for each in sorted(votes.items())))
        return None

    def statement(self, job: Job, route: Legs) -> Statement:
        """What this relayer says of a message, by a route."""
        identities = (job.parcel.destination, *(edge.tracked for edge in route))
        return Statement(job.message_id, route_id(identities, tuple(edge.client for edge in route)), job.sent_ns)

    def _route(self, job: Job, clients: tuple[str, ...]) -> Legs | None:
        """The route over these clients from the destination on; None where it leads elsewhere, or does not comply."""
        route: list[Edge] = []
        at = job.near
        for client in clients:
            edge = next(
                (each for each in self.network.graph.edges if (each.verifier, each.client) == (at, client)), None
            )
            if edge is None:
                return None
            route.append(edge)
            at = edge.tracked
        return tuple(route) if at == job.far and self.choice.complies(job, tuple(route)) else None

    def _sign(self, job: Job, ballot: _Ballot, statement: Statement, clients: tuple[str, ...]) -> None:
        ballot.routes[statement] = clients
        ballot.votes.setdefault(statement, {})
        if self.key.public in self._voters(job):
            own = Vote(self.key.public, self.key.sign(sign_bytes(job.parcel.destination, statement)))
            self._count(job, ballot, statement, (own,))
            self._tell(ballot, statement)

    def _voters(self, job: Job) -> Set[bytes]:
        return self.stakes.on(self.network.chain_of[job.parcel.destination]).keys()

    def _count(self, job: Job, ballot: _Ballot, statement: Statement, votes: tuple[Vote, ...]) -> bool:
        """Take signatures that count; whether one was news."""
        signed = sign_bytes(job.parcel.destination, statement)
        known, voters = ballot.votes[statement], self._voters(job)
        news = {
            vote.relayer: vote.signature
            for vote in votes
            if vote.relayer in voters - known.keys() and is_signed(vote.relayer, signed, vote.signature)
        }
        known |= news
        if self.certificate(job) is not None:
            self.jobs.ready(job, self.clock.now_ns)
        return bool(news)

    def _tell(self, ballot: _Ballot, statement: Statement) -> None:
        votes = tuple(Vote(*each) for each in sorted(ballot.votes[statement].items()))
        self._told.append(Endorsement(statement, ballot.routes[statement], votes).encode())

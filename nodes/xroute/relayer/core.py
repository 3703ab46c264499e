"""The relayer: what it does, without sockets, clocks and disks.

Invariant: what is to be done follows from the chains' blocks, which it reads from the first one on when it starts; so
it can be killed at any point, and loses nothing. Of several relayers all may carry the same message: one delivers it,
and what the others try does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import inf

from nodes.ibc.proto.ibc import MsgRecoverClient, MsgRegisterCounterparty
from nodes.ibc.relayer.calls import Block, Blocked, Flow, Unanswered, Wait
from nodes.ibc.relayer.chain_core import ChainCore
from nodes.ibc.relayer.core import ChainSettings
from nodes.ibc.relayer.events import ClientSeen, Spent
from nodes.ibc.relayer.events import read as read_clients
from nodes.ibc.relayer.opening import ClientTerms, Side, sent
from nodes.ibc.relayer.signer import Signer
from nodes.ibc.relayer.submission import Outcome
from nodes.xroute.flooding.ads import Ad
from nodes.xroute.flooding.database import Database
from nodes.xroute.flooding.exchange import advertised, with_told
from nodes.xroute.identity import ChainIdentity
from nodes.xroute.keys import Key
from nodes.xroute.module.errors import NAME_REJECTED
from nodes.xroute.module.messages import MsgPublishTransit, MsgSlash, MsgStake
from nodes.xroute.relayer.ballots import Ballots
from nodes.xroute.relayer.choice import Choice, Legs
from nodes.xroute.relayer.clients import Clients
from nodes.xroute.relayer.events import Settled, read
from nodes.xroute.relayer.jobs import Job, Jobs
from nodes.xroute.relayer.measure import Measured
from nodes.xroute.relayer.names import Names
from nodes.xroute.relayer.network import Network
from nodes.xroute.relayer.opening import Opening
from nodes.xroute.relayer.rounds import Rounds, Stalled
from nodes.xroute.relayer.stakes import Stakes
from nodes.xroute.relayer.turns import Turns

__all__ = ["Relayer", "Settings"]

MOST_JOBS = 60  # of one round
_TRANSACTIONS = 2  # of a block with a limit of gas, at least
_RETRY_S = 1.0
_LONGEST_RETRY_S = 30.0
_CERTIFY_S = 0.25  # between looks for messages to sign for
_DISCOVER_S = 2.0  # between attempts to learn the network
_LOOK_AGAIN_S = 60.0
_CHANGES = tuple(
    ("action", f"/{kind.NAME}") for kind in (MsgRegisterCounterparty, MsgRecoverClient, MsgPublishTransit)
)  # of the network, as transactions tell them


@dataclass(frozen=True, slots=True)
class Settings:
    """What a relayer is to do."""

    chains: tuple[ChainSettings, ...]
    clients: ClientTerms
    opens: tuple[tuple[str, str], ...] = ()  # pairs of chains that it makes clients for, if there are none
    names: Mapping[str, str] = field(default_factory=dict)  # of chains, as policies have them
    registries: Mapping[str, str] = field(default_factory=dict)  # zones of names, and the chain that keeps each
    block_gas: int = 0  # the limit of the chains' blocks; 0: none
    turns: Turns = field(default_factory=Turns)
    stall_s: float = 2.0  # without a block, after which a chain counts as stalled: two block times
    key: Key = field(default_factory=lambda: Key.named("relayer"))  # by which other relayers know it
    stake: int = 0  # that it has on every chain; 0: none
    model_key: bytes = b""  # of the oracle of mode zk-model, which is a model; "": it makes no such objects …
    prove_s: float = inf  # … or takes so long for each


class Relayer(ChainCore):
    """One relayer."""

    def __init__(self, settings: Settings, now_ns: int, stakes: Stakes | None = None) -> None:
        """`stakes`, none yet, are read from the chains' blocks."""
        super().__init__(now_ns)
        self.settings = settings
        self.jobs = Jobs(settings.turns, settings.prove_s * 1e9 if settings.model_key else inf)
        self.stakes = Stakes() if stakes is None else stakes
        self.malformed = 0  # events
        self.rerouted = 0  # jobs that were tried on another route than before
        self.latency_s: list[float] = []  # of messages that were settled, since it was last emptied
        self.notes: list[tuple[str, str]] = []  # what a person should know: kind and words
        self.signers = {
            each.name: Signer(each.terms, each.keys, self.clock, self.follow(each.name, 0, self._read, self._gap))
            for each in settings.chains
        }
        self.network = Network(self.chains, settings.names)
        self.measured = Measured(settings.block_gas)
        self.clients = Clients(self.clock)
        self.names = Names(
            settings.registries, self.network, self.chains, self.signers, self.clients, self.clock, self.notes
        )  # fmt: skip
        self.choice = Choice(self.network, self.names)
        self.ballots = Ballots(settings.key, self.network, self.jobs, self.choice, self.stakes, self.clock)
        self.rounds = Rounds(
            self.network, self.jobs, self.chains, self.signers, self.clients, self.clock, self.tasks, settings.stall_s,
            self.ballots, self.names, settings.block_gas // _TRANSACTIONS, settings.model_key,
        )  # fmt: skip
        self.down: dict[ChainIdentity, int] = {}  # chains that are stalled, and their last height
        self._unread: list[tuple[str, Block]] = []  # blocks from before the chains' identities were known
        self._is_changed = True  # the network, since it was last asked for
        self._last: dict[Job, Legs] = {}  # the route that a job was last tried on
        self._accused: set[bytes] = set()  # relayers that are shown to have contradicted themselves
        self.tasks.add("begin", self._begin())
        self.tasks.turn()

    def advertised(self) -> Iterator[Ad]:
        """What it has to say to other relayers."""
        loads = {name: self.measured.load(name) for name in self.chains}
        found = {self.network.identities[name]: load for name, load in loads.items() if load is not None}
        own = self.network.own
        return advertised(own, self.measured.edges(own, self.network.chain_of), found if self.is_ready else {})

    def accuse(self, origin: bytes, evidence: bytes) -> None:
        """A relayer has signed two versions of one advertisement: let it lose its stake on every chain."""
        if origin not in self._accused:
            self._accused.add(origin)
            for name in self.chains:
                self.tasks.add(f"accuse on {name}", self._accuse(name, origin, evidence))

    def hear(self, database: Database) -> None:
        """Take into account what other relayers say; of what they alone know nothing is proved here."""
        self.network.hear(lambda graph: with_told(graph, database, self.stakes.weights, (), self.clock.now_ns))

    @property
    def is_ready(self) -> bool:
        """Whether the network is known, so that messages are carried."""
        return self.network.version > 0

    def _begin(self) -> Flow[None]:
        """Learn the network, make what is missing of it, then carry."""
        yield Wait(lambda: all(chain.caught_up for chain in self.chains.values()))
        yield from self._discover()
        for name in self.chains if self.settings.stake else ():
            self.tasks.add(f"stake on {name}", self._insisting(partial(self._stake, name)))
        yield from self._open()
        self.tasks.add("certify", self._certify())
        self.tasks.add("look again", self._look_again())
        for name in self.chains if self.settings.registries else ():
            self.tasks.add(f"names on {name}", self.names.run(name))
        for name, signer in self.signers.items():
            for number in range(len(signer.accounts)):
                self.tasks.add(f"carry to {name} {number}", self._carry(name))

    def _stake(self, name: str) -> Flow[None]:
        """Bond what is lacking of its stake on a chain, unless it was slashed anywhere."""
        key = self.settings.key.public
        lacking = self.settings.stake - self.stakes.on(name).get(key, 0)
        if lacking > 0 and not self.stakes.is_slashed(key):
            signer = self.signers[name]
            yield from sent(signer, [MsgStake(key, lacking)], signer.first)

    def _accuse(self, name: str, origin: bytes, evidence: bytes) -> Flow[None]:
        """Show a chain the evidence for as long as the relayer has a stake there: another one may be faster."""
        while True:
            yield Wait(lambda: origin in self.stakes.on(name))
            try:
                yield from sent(self.signers[name], [MsgSlash(evidence)])
            except (Unanswered, Blocked) as failure:
                self.notes.append(("waits", str(failure)))
            yield Wait(lambda: origin not in self.stakes.on(name), self.clock.after_s(_RETRY_S))

    def _certify(self) -> Flow[None]:
        """Sign for messages of mode QUORUM."""
        while True:
            self.ballots.tend(self._down() | self._silent())
            yield Wait(lambda: False, self.clock.after_s(_CERTIFY_S))

    def _open(self) -> Flow[None]:
        """Make the clients that are missing, on all chains at once."""
        opening = Opening(self.network, self.settings.clients, self.clock)
        sides = {name: Side(self.chains[name], self.signers[name]) for name in self.chains}
        hosts = {name for pair in self.settings.opens for name in pair}

        def opened(host: str) -> Flow[None]:
            others = [sides[b if a == host else a] for a, b in self.settings.opens if host in (a, b)]
            yield from self._insisting(partial(opening.run, sides[host], others))
            hosts.remove(host)

        for host in sorted(hosts):
            self.tasks.add(f"open {host}", opened(host))
        yield Wait(lambda: not hosts)

    def _look_again(self) -> Flow[None]:
        """Learn the network anew, whenever it has changed, and from time to time."""
        while True:
            yield Wait(lambda: self._is_changed, self.clock.after_s(_LOOK_AGAIN_S))
            self._is_changed = False
            yield from self._discover()

    def _discover(self) -> Flow[None]:
        yield from self._insisting(self.network.discover)
        unread, self._unread = self._unread, []
        for name, block in unread:
            self._learn(name, block)

    def _insisting(self, attempt: Callable[[], Flow[None]]) -> Flow[None]:
        """Try until it is done."""
        while True:
            try:
                yield from attempt()
                return
            except (Unanswered, Blocked) as failure:
                self.notes.append(("waits", str(failure)))
                yield Wait(lambda: False, self.clock.after_s(_DISCOVER_S))

    def _carry(self, host: str) -> Flow[None]:
        """Rounds to one chain, one after the other."""
        near = self.network.identities[host]
        while True:
            yield Wait(lambda: any(True for _ in self.jobs.of(near, self.clock.now_ns)), self.clock.after_s(_RETRY_S))
            chosen = self._next(near)
            if chosen is None:
                continue
            route, batch = chosen
            self._count_rerouted(route, batch)
            for job in batch:
                job.busy = True
                self._last[job] = route
            try:
                yield from self._try(route, batch)
            finally:
                for job in batch:
                    job.busy = False

    def _count_rerouted(self, route: Legs, batch: Sequence[Job]) -> None:
        changed = sum(self._last.get(job, route) != route for job in batch)
        if changed:
            self.rerouted += changed
            transits = ", ".join(self.network.chain_of[edge.tracked] for edge in route[:-1])
            way = f"over {transits}" if transits else "directly"
            self.notes.append(("rerouted", f"{changed} to {batch[0].work.value} {way}"))

    def _try(self, route: Legs, batch: Sequence[Job]) -> Flow[None]:
        """One round, and what becomes of its jobs."""
        try:
            outcomes = yield from self.rounds.run(route, batch)
        except Stalled as failure:
            self._stalled(failure.chain)
            is_end = failure.chain in (batch[0].near, batch[0].far)  # no other route leads round it
            self._put_off(batch, str(failure), _RETRY_S if is_end else 0.0)
        except (Unanswered, Blocked) as failure:
            self._suspect(route)
            self._put_off(batch, str(failure), _RETRY_S)
        else:
            for job, outcome in outcomes:
                self._done(route, job, outcome)

    def _next(self, near: ChainIdentity) -> tuple[Legs, list[Job]] | None:
        """The oldest job for a chain that can be tried now, its route, and other jobs that take the same."""
        first: Legs | None = None
        batch: list[Job] = []
        down = self._down()
        silent = down | self._silent()
        for job in self.jobs.of(near, self.clock.now_ns):
            route: Legs | None = ()
            if self.rounds.needs_route(job):
                route = self.choice.route(job, silent) or self.choice.route(job, down)
            if route is None:
                job.due_ns = self.clock.after_s(_RETRY_S)
                if job.attempts:  # it has failed on the others: they are all that is left
                    job.avoided.clear()
            elif first is None or route == first:
                first = route
                batch.append(job)
                if len(batch) == MOST_JOBS:
                    break
        return None if first is None else (first, batch)

    def _down(self) -> frozenset[ChainIdentity]:
        """Chains that have made no block since they were found to be stalled."""
        for chain, height in list(self.down.items()):
            if self.chains[self.network.chain_of[chain]].height > height:
                del self.down[chain]
        return frozenset(self.down)

    def _silent(self) -> frozenset[ChainIdentity]:
        """Chains that have told of no block for a while: they are used only where there is no other route."""
        since_ns = self.clock.now_ns - round(self.settings.stall_s * 1e9)
        identities = self.network.identities
        return frozenset(identities[name] for name, chain in self.chains.items() if chain.heard_ns < since_ns)

    def _stalled(self, chain: ChainIdentity) -> None:
        name = self.network.chain_of[chain]
        self.down[chain] = self.chains[name].height
        self.notes.append(("stalled", f"{name} after block {self.down[chain]}"))

    def _suspect(self, route: Legs) -> None:
        """After a round that got nowhere: transits that have made no block for long are down."""
        for edge in route[:-1]:
            followed = self.chains[self.network.chain_of[edge.tracked]]
            if self.clock.now_ns - followed.time_ns > 2 * self.settings.stall_s * 1e9:
                self._stalled(edge.tracked)

    def _done(self, route: Legs, job: Job, outcome: Outcome) -> None:
        """What became of a job's transaction."""
        for edge in route:
            self.measured.tried(edge.key, not outcome.code)
        if not outcome.code:
            if route:
                self.choice.used(route)
            job.due_ns = self.clock.after_s(_RETRY_S)
            job.avoided |= {edge.tracked for edge in route[:-1]}  # a policy may ask for disjoint routes
        elif outcome.lost:
            self._put_off([job], outcome.log, _RETRY_S)
        else:
            if NAME_REJECTED.phrase in outcome.log:  # a simulation gives words alone
                self.names.forget(self.network.chain_of[job.near])
            if job.attempts:  # it was alone in its transaction: the route is to blame
                job.avoided |= {edge.tracked for edge in route[:-1]}
            self._again(job, outcome.log)

    def _again(self, job: Job, reason: str) -> None:
        """A job failed: it is tried again later, and alone."""
        job.attempts += 1
        job.due_ns = self.clock.after_s(min(_RETRY_S * 2 ** min(job.attempts - 1, 10), _LONGEST_RETRY_S))
        self.notes.append(("again", f"to {job.work.value}: {reason}"))

    def _put_off(self, batch: Sequence[Job], reason: str, delay_s: float) -> None:
        """A round got nowhere: no job of it is to blame."""
        for job in batch:
            job.due_ns = self.clock.after_s(delay_s)
        self.notes.append(("again", f"{len(batch)} to {batch[0].work.value}: {reason}"))

    def _read(self, chain: str, block: Block) -> None:
        self.malformed += self.stakes.saw(chain, block)
        self.measured.saw(chain, block)
        if chain in self.network.identities:
            self._learn(chain, block)
        else:
            self._unread.append((chain, block))
        self._is_changed |= any(
            change in event.attributes for result in block.results for event in result.events for change in _CHANGES
        )
        for seen in read_clients(block):
            if isinstance(seen, Spent):
                self.signers[chain].seen(seen.address, seen.sequence, seen.result)
            elif isinstance(seen, ClientSeen) and seen.height:
                self.rounds.saw_update(chain, seen.client, seen.height, block.height)
            elif isinstance(seen, ClientSeen):
                self.network.froze(chain, seen.client)

    def _learn(self, chain: str, block: Block) -> None:
        """What a block says of messages."""
        here = self.network.identities[chain]
        for seen in read(block):
            if seen is None:
                self.malformed += 1
                continue
            sent_ns = self.jobs.saw(here, block, seen)
            if isinstance(seen, Settled) and sent_ns:
                self.latency_s.append((block.time_ns - sent_ns) / 1e9)
        self.jobs.passed(here, block)
        self._last = {job: route for job, route in self._last.items() if self.jobs.holds(job)}

    def _gap(self, chain: str, first: int, last: int) -> None:
        self.notes.append(("pruned", f"{chain} has no blocks {first} to {last} any more: their messages are not known"))

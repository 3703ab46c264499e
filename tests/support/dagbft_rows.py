"""The verdict of every fault row, from what went over the wire, what is on the disks and what was committed.

Nothing is believed of those that the row makes Byzantine.
"""

from __future__ import annotations

from collections import defaultdict
from copy import deepcopy
from itertools import pairwise
from typing import Any

from emulator.sdk.disk import MemoryDisk
from nodes.dagbft.byzantine import ByzantineCore, turn, turn_worker
from nodes.dagbft.consensus.core import Commit, Rules
from nodes.dagbft.consensus.dag import members
from nodes.dagbft.consensus.early import Early
from nodes.dagbft.messages import Certificate, CertReply, Header, Vote
from nodes.dagbft.primary.config import PrimaryConfig
from nodes.dagbft.primary.core import PrimaryCore
from nodes.dagbft.simulate import Settings, Simulation, uniform

ASYNC = PrimaryConfig(leader_timeout_s=0.5, header_delay_s=0.05, grace_s=0.03, rules=Rules(look_back=20, keep=30))
PSYNC = PrimaryConfig(
    leader_timeout_s=0.5, header_delay_s=0.05, grace_s=0.03, rules=Rules(protocol="psync", look_back=20, keep=30)
)


class Wire:
    """Everything that was sent: what a validator has said twice differently shows here, on whatever disk it is."""

    def __init__(self, run: Simulation) -> None:
        self.certificates: dict[tuple[int, int], set[bytes]] = defaultdict(set)
        self.votes: dict[tuple[int, int, int], set[bytes]] = defaultdict(set)
        self.headers: dict[tuple[int, int], set[bytes]] = defaultdict(set)
        self.hook: Any = None
        run.network.hook = self.see

    def see(self, sender: int, receiver: int, message: Any, now_s: float) -> float | None:
        match message:
            case Header() if sender == message.author:
                self.headers[message.round, message.author].add(message.id)
            case Vote() if sender == message.voter:
                self.votes[message.voter, message.round, message.author].add(message.header_id)
            case Certificate():
                self._note(message)
            case CertReply(certificates):
                for each in certificates:
                    self._note(each)
        return self.hook(sender, receiver, message, now_s) if self.hook is not None else 0.0

    def _note(self, certificate: Certificate) -> None:
        if any(signature != bytes(64) for _, signature in certificate.votes):  # not one that is made up
            self.certificates[certificate.round, certificate.author].add(certificate.digest)


class Row:
    """A simulation with its verdict; `liars` are behaviours by validator."""

    def __init__(
        self,
        n: int = 4,
        liars: dict[int, str] | None = None,
        config: PrimaryConfig = ASYNC,
        load_hz: float = 20,
        **settings: Any,
    ) -> None:
        self.liars = liars or {}
        self.delay_s = 0.8
        settings.setdefault("delay", uniform(0.03))
        settings.setdefault("seed", 5)
        make = {number: self._turn(behaviour) for number, behaviour in self.liars.items()}
        self.run = Simulation(Settings(n=n, primary=config, **settings), make)
        self.wire = Wire(self.run)
        if load_hz:
            self.run.load(load_hz)

    def _turn(self, behaviour: str):
        def make(core: PrimaryCore) -> PrimaryCore:
            coin = deepcopy(core._coin) if behaviour in ("twins", "wiped-twice") else None

            def again() -> PrimaryCore:
                return PrimaryCore(
                    core.me, core.roster, core._signer, core._verifier, core.config, deepcopy(coin), MemoryDisk(), 0.0,
                    keys_of=core.keys_of,
                )  # fmt: skip

            return turn(behaviour, core, again, delay_s=self.delay_s, swap_s=2.0)

        return make

    def start(self, *but: int) -> Row:
        self.run.start(*but)
        for number, behaviour in self.liars.items():
            workers = self.run.validators[number].workers
            workers[:] = [turn_worker(behaviour, worker, self.n) for worker in workers]
        return self

    def go(self, duration_s: float) -> Row:
        self.run.run(duration_s)
        return self

    @property
    def n(self) -> int:
        return self.run.settings.n

    @property
    def honest(self) -> list[int]:
        return [number for number in range(self.n) if number not in self.liars]

    def primary(self, number: int) -> PrimaryCore:
        return self.run.validators[number].primary

    def liar(self, number: int) -> Any:
        """The primary, or worker, that lies."""
        primary = self.primary(number)
        return primary if isinstance(primary, ByzantineCore) else self.run.validators[number].workers[0]

    def heights(self) -> list[int]:
        """Commits of each."""
        return [len(self.run.validators[number].history.commits()) for number in range(self.n)]

    def height(self) -> int:
        """Commits of the honest validator that has the fewest."""
        return min(self.heights()[number] for number in self.honest)

    def refused(self, reason: str, peer: int) -> int:
        """How many honest validators have refused something of this peer for this reason."""
        return sum(self.primary(number).rejected[reason, peer] > 0 for number in self.honest)

    def authors_ordered(self) -> set[int]:
        commits = self.run.validators[self.honest[0]].history.commits()
        return {author for commit in commits for _, author in commit.blocks}

    def verdict(self, wiped: tuple[int, ...] = ()) -> None:
        """I1 to I6 hold; and nobody honest has contradicted itself."""
        found = breaches(self, wiped)
        assert not found, found


def breaches(row: Row, wiped: tuple[int, ...] = ()) -> list[str]:
    """What is broken, one text each."""
    run, honest, wire = row.run, [number for number in row.honest if number not in wiped], row.wire
    found = [f"I1: {len(ids)} certificates for {slot}" for slot, ids in wire.certificates.items() if len(ids) > 1]
    found += [
        f"{voter} voted twice for {slot}" for (voter, *slot), ids in wire.votes.items()
        if len(ids) > 1 and voter not in row.liars
    ]  # fmt: skip
    found += [f"two headers for {slot}" for slot, ids in wire.headers.items() if len(ids) > 1 and slot[1] in row.honest]
    logs = {number: list(run.validators[number].archive.commits()) for number in honest}  # as kept: of all lives
    commits = max(logs.values(), key=len)
    found += [f"I2: {number} forked" for number, log in logs.items() if log != commits[: len(log)]]
    told = {number: run.validators[number].history.commits() for number in honest}
    found += [f"{number} told of commits twice" for number, events in told.items() if len(set(events)) < len(events)]
    found += [
        f"{number} told of what it has not kept" for number, events in told.items() if set(events) - set(logs[number])
    ]
    parents: dict[tuple[int, int], int] = {}
    for number in honest:
        primary = row.primary(number)
        dag = primary.consensus.dag
        for round, layer in dag.layers.items():
            for author in members(layer.held):
                block = layer.blocks[author]
                parents[round, author] = block.parents
                if round > dag.floor + 1 and round > 1 and block.parents & ~dag.layers[round - 1].held:
                    found.append(f"I3: {number} lacks parents of {block.slot}")
        for certificate in run.validators[number].archive.certificates():
            slot = (certificate.round, certificate.author)
            wire.certificates[slot].add(certificate.digest)
            if len(wire.certificates[slot]) > 1:
                found.append(f"I1: {number} holds another certificate for {slot}")
        if primary.consensus.check.wrong:
            found.append(f"I6: {number} has {primary.consensus.check.wrong} wrong early places")
        if run.validators[number].history.again:
            found.append(f"{number} made two headers for {run.validators[number].history.again}")
    order = [slot for commit in commits for slot in commit.blocks]
    if len(set(order)) != len(order):
        found.append("I4: a block was emitted twice")
    found += _leaders(run, commits)
    return found + _places(row, honest, order)


def _leaders(run: Simulation, commits: list[Commit]) -> list[str]:
    """I5, on the recorded DAG and by plain sets."""
    parents = {block.slot: block.parents for block in run.blocks()}
    found = []
    for before, after in pairwise(commits):
        seen, round = {after.leader[1]}, after.leader[0]
        while round > before.leader[0]:
            seen = {parent for each in seen for parent in members(parents[round, each])}
            round -= 1
        if before.leader[1] not in seen:
            found.append(f"I5: {before.leader} is not in the past of {after.leader}")
    return found


def _places(row: Row, honest: list[int], order: list[tuple[int, int]]) -> list[str]:
    """I6 between validators: where one says that a block is final, another has ordered it, or may yet."""
    shards: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for round, author in order:
        shards[row.run.roster.committee.shard(author, round)].append((round, author))
    done, found = set(order), []
    for number in honest:
        for _, event in row.run.validators[number].history.events:
            if isinstance(event, Early):
                shard = shards[event.shard]
                ok = shard[event.position] == event.block if event.position < len(shard) else event.block not in done
                if not ok:
                    found.append(f"I6: {number} said {event.block} is {event.position} of shard {event.shard}")
    return found


def earlies(row: Row) -> int:
    """Early events at honest validators."""
    return sum(
        isinstance(event, Early) for number in row.honest for _, event in row.run.validators[number].history.events
    )

"""One validator in a simulation: primary, ledger, workers and their disks, connected as their processes are.

Invariant: effects are carried out as by a process: records first, then messages. A crash loses everything but the
disks; `crash_point` can place it between the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from emulator.sdk.disk import MemoryDisk, Record
from nodes.dagbft.consensus.core import Commit, Event
from nodes.dagbft.consensus.dag import Slot
from nodes.dagbft.execution.ledger import Ledger
from nodes.dagbft.messages import Header, Message, OthersBatch, OurBatch, Sealed
from nodes.dagbft.primary.bare import Headers
from nodes.dagbft.primary.effects import ALL, Effects
from nodes.dagbft.primary.execution import Core, Execution, Reply, new_ledger, shard_of
from nodes.dagbft.primary.records import Archive
from nodes.dagbft.simulate.network import Clock, Network
from nodes.dagbft.simulate.settings import Settings
from nodes.dagbft.worker.core import WorkerCore

PRIMARY = -1
ARCHIVED = ("commit", "certificate", "snapshot")  # tables
CrashPoint = Callable[[int, Effects], str]  # worker or PRIMARY, effects: "" to go on, "before" or "after" the records


class World(Protocol):
    """The interface of the simulation for a validator."""

    settings: Settings
    clock: Clock
    network: Network

    @property
    def on_reply(self) -> Callable[[Any, Reply], None]: ...

    @property
    def on_execute(self) -> Callable[[Any, Event], None]: ...

    def new_primary(self, me: int, disk: MemoryDisk, *, genesis: bool) -> Core: ...

    def new_worker(self, me: int, worker: int, disk: MemoryDisk) -> WorkerCore: ...

    def crash(self, number: int) -> None: ...


@dataclass(slots=True)
class History:
    """The history of a validator, over all restarts."""

    events: list[tuple[float, Event]] = field(default_factory=list)
    executed: list[tuple[float, Event]] = field(default_factory=list)
    made: dict[int, tuple[float, bytes]] = field(default_factory=dict)  # header ids by round, and when
    again: list[int] = field(default_factory=list)  # rounds of which a second, different header was made
    advanced: list[tuple[float, int]] = field(default_factory=list)
    digests: dict[int, bytes] = field(default_factory=dict)  # of the ledger, by commits

    def commits(self) -> list[Commit]:
        return [event for _, event in self.events if isinstance(event, Commit)]

    def commit_times(self) -> dict[Slot, float]:
        """When each block was ordered."""
        return {slot: t_s for t_s, event in self.events if isinstance(event, Commit) for slot in event.blocks}


class Validator:
    """Number `me` of a simulation."""

    def __init__(self, simulation: World, me: int) -> None:
        self.me = me
        self.history = History()
        self.bodies: dict[bytes, bytes] = {}
        self.alive = False
        self.crash_point: CrashPoint | None = None
        self.primary: Core
        self.headers: Headers
        self.workers: list[WorkerCore]
        self.execution: Execution | None = None  # of this life, where validators execute
        self._simulation = simulation
        self._disks = self._new_disks()
        self._ever = MemoryDisk()
        self._life = 0
        self._timers: dict[int, float] = {}
        self._due = False  # to carry out what the primary wants, at the end of its turn

    def _new_disks(self) -> dict[int, MemoryDisk]:
        return {process: MemoryDisk() for process in range(PRIMARY, self._simulation.settings.workers)}

    def start(self, *, genesis: bool = True) -> None:
        """Start with the content of the disks."""
        simulation = self._simulation
        self._life += 1
        self.alive = True
        self._due = False
        self._timers = {}
        self.bodies = {}
        self.workers = [
            simulation.new_worker(self.me, worker, self._disks[worker]) for worker in range(simulation.settings.workers)
        ]
        self.headers = Headers(simulation.settings.n)
        self._begin(genesis)
        for process in self._disks:
            self.carry_out(process)

    def _begin(self, genesis: bool = False) -> None:
        """Make a new core and ledger from the disk."""
        self.primary = self._simulation.new_primary(self.me, self._disks[PRIMARY], genesis=genesis)
        self.execution = Execution(self.primary, new_ledger(self.primary)) if self._simulation.settings.ledger else None

    @property
    def archive(self) -> Archive:
        """All commits and certificates that its disk has had, those that have been deleted since too."""
        return Archive(self._ever)

    @property
    def ledger(self) -> Ledger:
        """Where validators execute."""
        assert self.execution is not None
        return self.execution.ledger

    def crash(self, *, wipe: bool = False) -> None:
        """Crash; with `wipe` the disks are lost too."""
        self.alive = False
        self._life += 1
        if wipe:
            self._disks = self._new_disks()
            self._ever = MemoryDisk()

    def receive(self, process: int, sender: int, message: Message) -> bool:
        """A message of another validator; returns False if this validator is down."""
        if not self.alive:
            return False
        core = self.primary if process == PRIMARY else self.workers[process]
        whole, answer = self.headers.incoming(sender, message)
        if answer is not None:
            self._simulation.network.send(self.me, (sender, PRIMARY), answer)
        if whole is not None:
            core.on_message(sender, whole, self._simulation.clock.now_s)
            self._changed(process)
        return True

    def submit(self, worker: int, transaction: bytes) -> None:
        """A client's transaction."""
        if self.alive:
            self.workers[worker].on_transaction(transaction, self._simulation.clock.now_s)
            self.carry_out(worker)

    def _changed(self, process: int) -> None:
        """Carry out a core's effects at the end of the turn, once."""
        turn_s = self._simulation.settings.turn_s
        if not turn_s or process != PRIMARY:
            self.carry_out(process)
        elif not self._due:
            self._due, life = True, self._life

            def end() -> None:
                if self._life == life:
                    self._due = False
                    self.carry_out(process)

            self._simulation.clock.at(self._simulation.clock.now_s + turn_s, end)

    def carry_out(self, process: int) -> None:
        """Carry out a core's effects, and set its timer."""
        if not self.alive:
            return
        core = self.primary if process == PRIMARY else self.workers[process]
        effects = core.take()
        if effects:
            replies = self.execution.play(effects) if process == PRIMARY and self.execution is not None else []
            point = self.crash_point(process, effects) if self.crash_point is not None else ""
            if point != "before":
                self._keep(process, effects.persist)
                if process != PRIMARY:
                    self.workers[process].batch_store.kept(effects.persist)
            if point:
                self.crash_point = None
                self._simulation.crash(self.me)
                return
            if process == PRIMARY:
                self._record(effects)
                self._reply(replies)
            self._send(process, effects)
            if effects.again:
                before = self.primary
                self._begin()
                self.primary.rejected.update(before.rejected)
                self.carry_out(process)
                return
        self._set_timer(process, core.next_deadline_s())

    def _keep(self, process: int, records: list[Record]) -> None:
        self._disks[process].apply(records)
        if process == PRIMARY:
            self.primary.archive.kept(records)
            self._ever.apply([each for each in records if each.table in ARCHIVED and each.value is not None])

    def _send(self, process: int, effects: Effects) -> None:
        network, n = self._simulation.network, self._simulation.settings.n
        for receiver, message in effects.send:
            others: Iterable[int] = range(n) if receiver == ALL else (receiver,)
            if self._simulation.settings.bare:
                message = self.headers.outgoing(receiver, message)
            for other in others:
                if other != self.me:
                    network.send(self.me, (other, process), message)
        for worker, order in effects.workers:
            self._locally(lambda worker=worker, order=order: self._order(worker, order))  # type: ignore[misc]
        for told in effects.primary:
            self._locally(lambda told=told: self._told(told))  # type: ignore[misc]

    def _locally(self, do: Callable[[], None]) -> None:
        """A call between own processes: at once, but after the current one."""
        life = self._life

        def still() -> None:
            if self._life == life:
                do()

        self._simulation.clock.at(self._simulation.clock.now_s, still)

    def _order(self, worker: int, order: Message) -> None:
        self.workers[worker].on_primary(order, self._simulation.clock.now_s)
        self.carry_out(worker)

    def _told(self, told: Message) -> None:
        now_s = self._simulation.clock.now_s
        if isinstance(told, Sealed):
            self.primary.on_sealed(told.worker, told.round, told.inline, now_s)
            return self._changed(PRIMARY)
        assert isinstance(told, OurBatch | OthersBatch)
        self.bodies[told.digest] = told.body
        if self.execution is not None:
            self._reply(self.execution.on_batch(told, shard_of(told.body), now_s))
        else:
            keys, own = self._simulation.settings.write_keys(told.body), isinstance(told, OurBatch)
            self.primary.on_batch(told.digest, told.worker, keys, own, now_s, len(told.body))
        return self._changed(PRIMARY)

    def _reply(self, replies: Iterable[Reply]) -> None:
        for reply in replies:
            self._simulation.on_reply(self, reply)

    def _record(self, effects: Effects) -> None:
        now_s, history = self._simulation.clock.now_s, self.history
        for header in effects.made:
            self._note_header(header, now_s)
        history.advanced += [(now_s, round) for round in effects.advanced]
        history.events += [(now_s, event) for event in effects.events]
        for event in effects.execute:
            if not isinstance(event, Commit) or event.number >= self.primary.logged:
                history.executed.append((now_s, event))
            self._simulation.on_execute(self, event)
        if self.execution is not None:
            self.history.digests[self.ledger.commits] = self.ledger.digest
        for digest in effects.forget:
            self.bodies.pop(digest, None)

    def _note_header(self, header: Header, now_s: float) -> None:
        before = self.history.made.setdefault(header.round, (now_s, header.id))
        if before[1] != header.id:
            self.history.again.append(header.round)

    def _set_timer(self, process: int, deadline_s: float) -> None:
        clock, life = self._simulation.clock, self._life
        if deadline_s == float("inf") or self._timers.get(process, float("inf")) <= deadline_s:
            return
        due_s = max(deadline_s, clock.now_s)
        self._timers[process] = due_s

        def ring() -> None:
            if self._life == life and self._timers.get(process) == due_s:
                del self._timers[process]
                core = self.primary if process == PRIMARY else self.workers[process]
                core.tick(clock.now_s)
                self.carry_out(process)

        clock.at(due_s, ring)

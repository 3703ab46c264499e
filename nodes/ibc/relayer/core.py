"""The relayer: what it does, without sockets, clocks and disks.

Invariant: it is a set of procedures (calls.Flow) that share the book; killed at any point and started with the records
that it had given out, it does what is left to do, and nothing is stuck. Calls are to be made only once the records that
were taken with them are kept.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

from emulator.sdk.disk import Disk
from nodes.ibc.comet.commits import SignatureCache
from nodes.ibc.relayer.book import Book
from nodes.ibc.relayer.calls import Block, BlockAt, Blocked, Flow, StatusOf, Unanswered, Wait
from nodes.ibc.relayer.chain_core import ChainCore
from nodes.ibc.relayer.clearing import clear
from nodes.ibc.relayer.clients import Client
from nodes.ibc.relayer.events import ChannelClosed, ClientReplaced, ClientSeen, PacketSeen, Spent, read
from nodes.ibc.relayer.follow import BATCH, Followed
from nodes.ibc.relayer.handshake import close_v1, find_v1, open_v1
from nodes.ibc.relayer.lanes import Lane
from nodes.ibc.relayer.meter import Meter
from nodes.ibc.relayer.opening import ClientTerms, Side, find_v2, open_v2, recover, sent
from nodes.ibc.relayer.packets import End, Happened, Packet, State
from nodes.ibc.relayer.paths import Path
from nodes.ibc.relayer.signer import Signer, Terms
from nodes.ibc.relayer.watch import Watch, misbehaviour

MOST_ROUNDS = 4  # of one direction at once: while one waits for its block, others take their proofs
_LONGEST_RETRY_S = 60.0
_REFRESH_CHECK_S = 5.0


@dataclass(frozen=True, slots=True)
class ChainSettings:
    """One chain, and the relayer's keys on it."""

    name: str
    terms: Terms
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Settings:
    """What a relayer is to do."""

    chains: tuple[ChainSettings, ...]
    paths: tuple[Path, ...]
    clients: ClientTerms
    opens: bool = True  # makes paths that are not there; another relayer waits for them
    clear_blocks: int = 100  # between clearings


@dataclass(frozen=True, slots=True)
class Relayed:
    """A packet that is settled: when it was sent, as far as is known, by the source's clock."""

    name: str
    sent_ns: int
    timed_out: bool


class OpenPath:
    """A path whose ends are known."""

    def __init__(self, path: Path, ends: tuple[End, End], lanes: tuple[Lane, Lane]) -> None:
        self.path, self.ends, self.lanes = path, ends, lanes
        self.cleared = 0  # times
        self.clear_wanted = True
        self.corrected = 0  # packets that clearing found wrong in the book


class Relayer(ChainCore):
    """One relayer. Records that `book.take` gives are to be kept before the calls are made that `take` gives."""

    def __init__(self, settings: Settings, disk: Disk, now_ns: int) -> None:
        super().__init__(now_ns)
        self.settings = settings
        self.book = Book(disk)
        self.malformed = 0  # events
        self.relayed: list[Relayed] = []  # since they were last taken
        self.meter = Meter()
        self.notes: list[tuple[str, str]] = []  # what a person should know: kind and words
        self.opened: dict[str, OpenPath] = {}
        self.waiting_for: dict[str, str] = {}  # why a path is not open
        self.clients: dict[tuple[str, str], Client] = {}  # by host and name
        self.ends: dict[str, tuple[End, End]] = {}  # by an end's name: the end, and the other one
        self._cache = SignatureCache()
        self.signers: dict[str, Signer] = {}
        for chain in settings.chains:
            followed = self.follow(chain.name, self.book.cursors.get(chain.name, 0), self._read, self._gap)
            self.signers[chain.name] = Signer(chain.terms, chain.keys, self.clock, followed)
            self.tasks.add(f"weigh {chain.name}", self.signers[chain.name].weigh())
        self._watch = Watch(self.clients, self.signers, self.notes, self.clock)
        for ends in self.book.paths.values():
            self._know(ends)
        for path in settings.paths:
            self.tasks.add(f"path {path.name}", self._path(path))
        self.tasks.turn()

    def clear(self, path: str) -> bool:
        """Compare the book with the chains now, and take up what is parked on a path; whether there is such a path."""
        found = self.opened.get(path)
        if found is None:
            return False
        for packet in list(self.book.packets.values()):
            if packet.state is State.PARKED and any(packet.source == end.name for end in found.ends):
                self.book.resume(packet)
        found.clear_wanted = True
        self.tasks.turn()
        return True

    def recover(self, name: str) -> bool:
        """Let a new client take the place of an expired or frozen one ("b-0/07-tendermint-0"); whether there is such.

        The host must know the first of this relayer's accounts as its authority.
        """
        host, _, client = name.partition("/")
        found = self.clients.get((host, client))
        if found is None:
            return False
        self.tasks.add(f"recover {name}", self._recover(found))
        self.tasks.turn()
        return True

    def _recover(self, client: Client) -> Flow[None]:
        a, b = (Side(self.chains[name], self.signers[name]) for name in (client.host, client.subject))
        name = f"{client.host}/{client.name}"
        try:
            substitute = yield from recover(a, b, client, self.settings.clients)
        except (Unanswered, Blocked) as failure:
            self.notes.append(("recover", f"{name}: {failure}"))
        else:
            self.notes.append(("recover", f"{name} has the state of {substitute}"))

    def _load(self, client: Client) -> Flow[None]:
        """Ask anew what a client knows, until it is told."""
        wait_s = 1.0
        while True:
            try:
                return (yield from client.load())
            except Unanswered:
                yield Wait(lambda: False, self.clock.after_s(wait_s))
                wait_s = min(2 * wait_s, _LONGEST_RETRY_S)

    def _path(self, path: Path) -> Flow[None]:
        """Find or open a path, then set its procedures going."""
        sides = tuple(Side(self.chains[name], self.signers[name]) for name in (path.a, path.b))
        wait_s = 1.0
        while True:
            yield Wait(lambda: all(side.followed.caught_up for side in sides))
            try:
                ends = yield from self._ends(path, *sides)
                clients = [Client(end.chain, end.client, other.chain, self.clock, self._cache)
                           for end, other in (ends, ends[::-1])]  # fmt: skip
                for client in clients:
                    yield from self.clients.setdefault((client.host, client.name), client).load()
                if path.name not in self.book.paths:
                    yield from self._reread(ends)
                    self.book.keep_path(path.name, ends)
                break
            except (Unanswered, Blocked) as failure:
                self.waiting_for[path.name] = str(failure)
                yield Wait(lambda: False, self.clock.after_s(wait_s))
                wait_s = min(2 * wait_s, _LONGEST_RETRY_S)
        self._start(path, ends)
        self.waiting_for.pop(path.name, None)

    def _reread(self, ends: tuple[End, End]) -> Flow[None]:
        """Read the blocks again that were read before these ends were known."""
        self._know(ends)
        for end in ends:
            (status,) = yield (StatusOf(end.chain),)
            last = self.chains[end.chain].height
            for first in range(status.first, last + 1, BATCH):
                heights = range(first, min(first + BATCH, last + 1))
                for block in (yield tuple(BlockAt(end.chain, height) for height in heights)):
                    for seen in read(block):
                        if isinstance(seen, PacketSeen):
                            self._packet(end.chain, block, seen, {ends[0].name, ends[1].name})
                        elif isinstance(seen, ChannelClosed):
                            self._closed(f"{end.chain}/{seen.end}", block.height)

    def _know(self, ends: tuple[End, End]) -> None:
        """Take note of the packets of these ends from now on."""
        for end, other in (ends, ends[::-1]):
            self.ends[end.name] = end, other

    def _ends(self, path: Path, a: Side, b: Side) -> Flow[tuple[End, End]]:
        if path.name in self.book.paths:
            return self.book.paths[path.name]
        found = yield from (find_v1(a, b, path) if path.port else find_v2(a, b))
        if found is None and self.settings.opens:
            terms = self.settings.clients
            found = yield from (open_v1(a, b, path, terms, self._made) if path.port else open_v2(a, b, terms))
        if found is None:
            raise Blocked(f"no {'channel' if path.port else 'pair of clients'} between {path.a} and {path.b} yet")
        return found

    def _made(self, host: str, name: str, subject: str) -> Client:
        """The client of that name, which is updated from now on."""
        made = Client(host, name, subject, self.clock, self._cache)
        return self.clients.setdefault((host, name), made)

    def _start(self, path: Path, ends: tuple[End, End]) -> None:
        lanes = []
        for source, target in (ends, ends[::-1]):
            client = self.clients[target.chain, target.client]
            lane = Lane(source, target, self.book, client, self.signers[target.chain], self.chains[source.chain],
                        self.chains[target.chain], self.clock, self.meter)  # fmt: skip
            lanes.append(lane)
            for number in range(min(len(self.signers[target.chain].accounts), MOST_ROUNDS)):
                self.tasks.add(f"lane {source.name} to {target.name} {number}", lane.run())
            self.tasks.add(f"refresh {target.chain}/{target.client}", self._refresh(client))
        opened = OpenPath(path, ends, (lanes[0], lanes[1]))
        self.opened[path.name] = opened
        self.notes.append(("path", f"{path.name}: {ends[0].name} and {ends[1].name}"))
        self.tasks.add(f"clear {path.name}", self._clearing(opened))
        for here, there in (ends, ends[::-1]) if path.port else ():
            self.tasks.add(f"close {there.name}", self._closing(here, there))

    def _refresh(self, client: Client) -> Flow[None]:
        """Update a client at a third of its trusting period: a procedure of its own, which waits for no packet."""
        subject = self.chains[client.subject]
        reason = ""

        def due() -> bool:  # a chain that has halted has no header to refresh with
            return self.clock.now_ns >= client.refresh_due_ns and subject.height > client.latest

        while True:
            if not (yield Wait(due, self.clock.after_s(_REFRESH_CHECK_S))):
                continue
            try:
                yield from sent(self.signers[client.host], (yield from client.updates_to(subject.height)))
            except (Unanswered, Blocked) as failure:
                if str(failure) != reason:  # an expired client would tell the same for ever
                    reason = str(failure)
                    self.notes.append(("refresh", f"{client.host}/{client.name}: {reason}"))
                yield Wait(lambda: False, self.clock.after_s(_REFRESH_CHECK_S))

    def _closing(self, here: End, there: End) -> Flow[None]:
        """Once one end of a channel is closed, close the other one, as soon as it has all acknowledgements."""
        closed, wait_s = self.book.closed, 1.0
        yield Wait(lambda: here.name in closed)
        a, b = (Side(self.chains[end.chain], self.signers[end.chain]) for end in (here, there))
        while True:
            yield Wait(lambda: there.name in closed or not self.book.awaits_answers(there.name))
            if there.name in closed:
                return
            try:
                yield from close_v1(a, b, self.clients[there.chain, there.client], here, there)
            except (Unanswered, Blocked) as failure:
                self.notes.append(("close", f"{there.name}: {failure}"))
                yield Wait(lambda: there.name in closed, self.clock.after_s(wait_s))
                wait_s = min(2 * wait_s, _LONGEST_RETRY_S)

    def _clearing(self, opened: OpenPath) -> Flow[None]:
        """Clear at the start, after a chain was away, every so many blocks, and when asked."""
        chains = [self.chains[end.chain] for end in opened.ends]
        while True:
            yield Wait(lambda: all(chain.caught_up for chain in chains))
            opened.clear_wanted = False
            again = self._clearing_due(opened, chains)
            try:
                for source, destination in (opened.ends, opened.ends[::-1]):
                    opened.corrected += yield from clear(self.book, source, destination, self.chains[source.chain])
                opened.cleared += 1
            except Unanswered:
                opened.clear_wanted = True
                yield Wait(lambda: False, self.clock.after_s(1.0))
            yield again

    def _clearing_due(self, opened: OpenPath, chains: Sequence[Followed]) -> Wait:
        """Until it is asked for, a chain has been away since now, or has made enough blocks since now."""
        marks = [(chain, chain.failures, chain.height + self.settings.clear_blocks) for chain in chains]

        def due() -> bool:
            away = any(chain.failures > failures for chain, failures, _ in marks)
            return opened.clear_wanted or away or any(chain.height >= height for chain, _, height in marks)

        return Wait(due)

    def _gap(self, chain: str, first: int, last: int) -> None:
        self.notes.append(("pruned", f"{chain} has no blocks {first} to {last} any more; clearing compares the rest"))
        for opened in self.opened.values():
            opened.clear_wanted = True

    def _read(self, chain: str, block: Block) -> None:
        """What a block says goes into the book."""
        for seen in read(block):
            match seen:
                case None:
                    self.malformed += 1
                case Spent():
                    self.signers[chain].seen(seen.address, seen.sequence, seen.result)
                case PacketSeen():
                    self._packet(chain, block, seen)
                case ClientSeen():
                    client = self.clients.get((chain, seen.client))
                    if client is not None:
                        if seen.height:
                            client.learned(seen.height)
                        self.tasks.add("watch", misbehaviour(self._watch, client, seen.height, block.height))
                case ClientReplaced():
                    if (chain, seen.client) in self.clients:
                        self.tasks.add("load", self._load(self.clients[chain, seen.client]))
                case ChannelClosed():
                    self._closed(f"{chain}/{seen.end}", block.height)
        self._expire(chain, block)
        self.book.read_to(chain, block.height)

    def _packet(self, chain: str, block: Block, seen: PacketSeen, only: Container[str] | None = None) -> None:
        at_source = seen.happened in (Happened.SEND, Happened.SETTLE)
        end = f"{chain}/{seen.source if at_source else seen.destination}"
        if end not in self.ends or (only is not None and end not in only):
            return
        other = self.ends[end][1].name
        source, destination = (end, other) if at_source else (other, end)
        packet = Packet(
            source=source,
            destination=destination,
            sequence=seen.sequence,
            encoded=seen.encoded,
            acknowledgement=seen.acknowledgement,
            height=block.height,
            timeout_ns=seen.timeout_ns,
            timeout_height=seen.timeout_height,
            ordered=seen.ordered,
            sent_ns=block.time_ns if seen.happened is Happened.SEND else 0,
            seen_ns=self.clock.now_ns,
        )
        known = self.book.packets.get(packet.name)
        if self.book.step(packet, seen.happened) is not None and seen.happened is Happened.SETTLE:
            self.relayed.append(Relayed(packet.name, known.sent_ns if known else 0, seen.timed_out))
            del self.relayed[:-10_000]

    def _expire(self, chain: str, block: Block) -> None:
        """Packets to this chain that it can no longer receive are to be timed out, those that are parked, too."""
        for here, other in list(self.ends.values()):
            if here.chain != chain:
                continue
            closed = self.book.closed.get(here.name)
            for packet in [packet for packet in self.book.of(other) if State.SENT in (packet.state, packet.resume)]:
                if closed is not None:
                    late = replace(packet, height=closed, closed=True)
                elif packet.expired(block.height, block.time_ns, here.v2):
                    late = replace(packet, height=block.height - 1)
                else:
                    continue
                self.book.resume(packet)
                self.book.step(replace(late, seen_ns=self.clock.now_ns), Happened.EXPIRE)

    def _closed(self, end: str, height: int) -> None:
        """A channel end is closed: what was sent to it can no longer be received."""
        if end in self.ends:
            self.book.close(end, height)

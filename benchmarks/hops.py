"""What a hop costs in memory: ns each over a torus with rows and routes, 1,400 and 20,000 link ends, one lane and two.

python -m benchmarks hops             (REPEAT=3 measures three times)

A transit hop: packets of 128 bytes circle over transit nodes and never arrive. All told: packets go from live node to
live node by least-delay routes, some ten or thirty hops, and are sent on from there; so the way in and out, where the
engine looks at the packets' bytes, is in each hop's figure. Only processor time in the engine counts. "Flushed": 3 MB
were written before each 50 hops, which empties the second-level cache, or 64 MB, which empties what this core has in
the third. Beside it stands a loop that does no more for a hop than a binary heap, a route, a rate and a delay, over the
same tables in the same run.
"""

from __future__ import annotations

from ctypes import addressof, byref

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import REPEAT, spread, tell
from benchmarks.native import Load, native
from benchmarks.torus import Torus
from emulator.link.engine.engine import Engine
from emulator.link.engine.structures import EngineDelivery, Received, Sent
from emulator.link.engine.tables import memory_ports

SIZES = ((18, 19, 12, 500, 5_000, 100), (70, 71, 60, 5_000, 50_000, 250))  # torus, live nodes, packets, target in ns
HOPS = 3_000_000
FLUSHED_HOPS = 50  # between two flushes
FLUSHES = {"L2": (3 << 20, 4_000), "L3": (64 << 20, 300)}  # bytes, times
MEAN_HOP_S = 5e-3
EMPTY_S = 1e-13
MOST_HOPS = 2**15 - 1  # that a packet between lanes may have left; the longest measurement takes some 2,000
ROOM, BYTES = 4096, 1 << 21
PACKET_BYTES = 128
MOST_TTL = 255  # the longest ways over the larger torus have more than 64 hops


class Circulation:
    """An engine with a number of packets that never come to rest."""

    def __init__(self, torus: Torus, packets: int, lanes: int) -> None:
        circling, self._packets = torus.circling, packets
        self.engine = Engine(torus.network, memory_ports(torus.network), torus.ring, 1, lanes=lanes)
        self.per_s = packets / MEAN_HOP_S  # hops in a second of the scenario, about
        self._junk = np.zeros(max(size for size, _ in FLUSHES.values()), np.uint8)
        self._room, self._bytes = (EngineDelivery * ROOM)(), np.zeros(BYTES, np.uint8)
        ends = np.full(torus.nodes, -1, np.int32)
        ends[torus.tail[::-1]] = np.arange(torus.ends, dtype=np.int32)[::-1]
        self._tables = ends, self.engine._tables.kept["ipv4"], torus.live
        self._load = Load(
            end_of_node=ends.ctypes.data,
            ipv4=self._tables[1].ctypes.data,
            live=torus.live.ctypes.data,
            live_count=len(torus.live),
            junk=self._junk.ctypes.data,
            room=addressof(self._room),
            bytes=self._bytes.ctypes.data,
            most=ROOM,
            bytes_room=BYTES,
        )
        rng = np.random.default_rng(2)
        sources = rng.integers(len(torus.live), size=packets)
        targets = (sources + rng.integers(1, len(torus.live), size=packets)) % len(torus.live)
        for number, (source, target) in enumerate(zip(sources.tolist(), targets.tolist(), strict=True)):
            data = _packet(self._tables[1][torus.live[target]])
            dest, hops = (target, MOST_HOPS) if circling else (-1, 0)  # else looked up at the first transit node
            self.engine.offer(int(ends[torus.live[source]]), number * 1e-6, data, dest=dest, hops=hops)
        self.play(0.3, 0.01)  # until all are spread out

    def __enter__(self) -> Circulation:
        return self

    def __exit__(self, *_: object) -> None:
        if self.inside() != self._packets:
            print(f"{self._packets - self.inside()} of {self._packets} packets were lost")
        self.engine.close()

    def hops(self) -> float:
        return float(self.engine.received[:, :, Received.PACKETS].sum())

    def inside(self) -> int:
        """Packets in the network: lost ones would make later figures better than they are."""
        sent, received = self.engine.sent, self.engine.received
        lost = sent[:, 2:6].sum() + received[:, :, Received.DROP_REFUSED :].sum()
        return int(sent[:, Sent.PACKETS].sum() - received[:, :, Received.PACKETS].sum() - lost)

    def play(
        self, seconds: float, step_s: float, threads: bool = False, by_clock: bool = False, flush: int = 0
    ) -> float:
        """Nanoseconds a hop over so much time of the scenario: of the processor, or by the clock."""
        before = self.hops()
        self._load.wall_ns = self._load.cpu_ns = 0
        self._load.step_s, self._load.steps = step_s, max(1, round(seconds / step_s))
        self._load.threads, self._load.junk_bytes = threads, flush
        native().play_load(self.engine._engine, byref(self._load))
        spent_ns = self._load.wall_ns if threads or by_clock else self._load.cpu_ns
        return spent_ns / max(1.0, self.hops() - before)

    def warm(self, threads: bool = False, by_clock: bool = False) -> float:
        return self.play(min(HOPS / self.per_s, 1.5), 0.025, threads, by_clock)

    def flushed(self, size: int, times: int) -> float:
        step_s = FLUSHED_HOPS / self.per_s
        before, hops_ns = self.hops(), self.play(times * step_s, step_s, flush=size)
        hops = self.hops() - before
        self.play(times * EMPTY_S, EMPTY_S, flush=size)  # nothing is due: what reading the time and the call take
        return hops_ns - self._load.cpu_ns / hops


def _packet(address: NDArray[np.uint8]) -> bytes:
    head = bytes([0x45, 0, 0, PACKET_BYTES, 0, 0, 0, 0, MOST_TTL, 17, 0, 0, 10, 1, 0, 1, *address.tolist()])
    return bytes(10) + head + bytes(PACKET_BYTES - len(head))


def bare(torus: Torus, packets: int) -> float:
    """Nanoseconds a hop of the loop without an engine."""
    row = torus.ring.row(0)
    columns = row.next_end, torus.peer, row.delay_start_s
    spent_ns = native().bare_hops(
        *(column.ctypes.data for column in columns),
        torus.ends, torus.nodes, len(torus.live), torus.live.ctypes.data, packets, HOPS,
    )  # fmt: skip
    return float(spent_ns) / HOPS


def measure(circling: Torus, arriving: Torus, packets: int, target_ns: int) -> None:
    figures: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        figures.setdefault(name, []).append(value)

    over = 0.0
    for _ in range(REPEAT):
        note("bare", bare(circling, packets))
        with Circulation(circling, packets, 1) as one:
            note("warm", one.warm())
            for name, (size, times) in FLUSHES.items():
                note(name, one.flushed(size, times))
            note("clock", one.warm(by_clock=True))
        with Circulation(arriving, packets, 1) as one:
            note("told", one.warm())
        with Circulation(circling, packets, 2) as two:
            note("two", two.warm(threads=True))
            note("in turns", two.warm(by_clock=True))
            over = sum(two.engine.report(lane).handed_over for lane in range(2)) / two.hops()
    columns = {name: spread(values) for name, values in figures.items()}
    what = f"a hop, {circling.ends:,} ends, {packets:,} packets"
    flushed = ", ".join(f"{name} flushed {columns[name]}" for name in FLUSHES)
    tell(
        what,
        f"transit warm {columns['warm']}, {flushed} ns, all told {columns['told']}",
        f"a bare loop {columns['bare']}",
        f"<= {target_ns} warm",
    )
    tell(
        f"{what}, two lanes, by the clock",
        f"two threads {columns['two']} ns, {over:.1%} of hops handed over",
        f"one thread in turns {columns['in turns']}, one lane {columns['clock']}",
    )


def main() -> None:
    for planes, each, stations, few, many, target_ns in SIZES:
        circling, arriving = (Torus(planes, each, stations, circling=circle) for circle in (True, False))
        for packets in (few, many):
            measure(circling, arriving, packets, target_ns)


if __name__ == "__main__":
    main()

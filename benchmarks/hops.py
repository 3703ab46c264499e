"""What a hop costs in memory: ns each over a torus with routes, 1,400 and 20,000 link ends, one lane and two.

python -m benchmarks hops

Packets of 128 bytes go from live node to live node over some ten or thirty transit nodes and are sent on from there, so
their number stays the same. Only the time in the engine counts. "Flushed": so many bytes were written before each 50
hops, which empties the second-level cache, or the share of the third that a core has. Beside it stands a loop that does
no more than a binary heap, a route, a rate and a delay a hop, over the same tables in the same run.
"""

from __future__ import annotations

from ctypes import addressof, byref

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import REPEAT, spread, tell
from benchmarks.native import Load, native
from benchmarks.torus import Torus
from emulator.link.engine.binding import EngineDelivery, Received, Sent
from emulator.link.engine.engine import Engine
from emulator.link.engine.tables import memory_ports

SIZES = ((18, 19, 12, 500, 5_000, 100), (70, 71, 60, 5_000, 50_000, 250))  # torus, live nodes, packets, target in ns
HOPS = 3_000_000
FLUSHED_HOPS = 50  # between two flushes
FLUSHES = {"L2": (3 << 20, 4_000), "L3": (64 << 20, 300)}  # bytes, times
MEAN_HOP_S = 5e-3
ROOM, BYTES = 4096, 1 << 21
PACKET_BYTES = 128


class Circulation:
    """An engine with a number of packets that never come to rest."""

    def __init__(self, torus: Torus, packets: int, lanes: int) -> None:
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
        for number, (source, target) in enumerate(zip(torus.live[sources], torus.live[targets], strict=True)):
            self.engine.offer(int(ends[source]), number * 1e-6, _packet(self._tables[1][target]))
        self.play(0.3, 0.01)  # until all are spread out

    def hops(self) -> float:
        return float(self.engine.received[:, :, Received.PACKETS].sum())

    def inside(self) -> int:
        """Packets in the network: lost ones would make later figures better than they are."""
        sent, received = self.engine.sent, self.engine.received
        return int(sent[:, Sent.PACKETS].sum() - received[:, :, Received.PACKETS].sum() - sent[:, 2:6].sum())

    def play(self, seconds: float, step_s: float, threads: bool = False, flush: int = 0) -> float:
        """Nanoseconds a hop over so much time of the scenario: of the processor, with threads by the clock."""
        before = self.hops()
        self._load.wall_ns = self._load.cpu_ns = 0
        self._load.step_s, self._load.steps = step_s, max(1, round(seconds / step_s))
        self._load.threads, self._load.junk_bytes = threads, flush
        native().play_load(self.engine._engine, byref(self._load))
        spent_ns = self._load.wall_ns if threads else self._load.cpu_ns
        return spent_ns / max(1.0, self.hops() - before)

    def warm(self, threads: bool = False) -> float:
        seconds = HOPS / self.per_s
        return self.play(min(seconds, 1.5), 0.025, threads)

    def flushed(self, size: int, times: int) -> float:
        step_s = FLUSHED_HOPS / self.per_s
        return self.play(times * step_s, step_s, flush=size)


def _packet(address: NDArray[np.uint8]) -> bytes:
    head = bytes([0x45, 0, 0, PACKET_BYTES, 0, 0, 0, 0, 64, 17, 0, 0, 10, 1, 0, 1, *address.tolist()])
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


def measure(torus: Torus, packets: int, target_ns: int) -> None:
    figures: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        figures.setdefault(name, []).append(value)

    for _ in range(REPEAT):
        note("bare", bare(torus, packets))
        for lanes in (1, 2):
            circulation = Circulation(torus, packets, lanes)
            if lanes == 1:
                note("warm", circulation.warm())
                for name, (size, times) in FLUSHES.items():
                    note(name, circulation.flushed(size, times))
            else:
                note("two", circulation.warm(threads=True))
                note("in turns", circulation.warm())
                report = [circulation.engine.report(lane) for lane in range(2)]
                over = sum(lane.handed_over for lane in report) / circulation.hops()
            if circulation.inside() != packets:
                print(f"{packets - circulation.inside()} packets were lost")
            circulation.engine.close()
    what = f"a hop, {torus.ends:,} ends, {packets:,} packets"
    warm, turns = spread(figures["warm"]), spread(figures["in turns"])
    flushed = ", ".join(f"{name} flushed {spread(figures[name])}" for name in FLUSHES)
    tell(what, f"warm {warm}, {flushed} ns", f"a bare loop {spread(figures['bare'])}", f"<= {target_ns} warm")
    threads = f"two threads {spread(figures['two'])} ns by the clock, {over:.1%} of hops handed over"
    tell(f"{what}, two lanes", threads, f"one thread in turns {turns}, one lane {warm}")


def main() -> None:
    for planes, each, stations, few, many, target_ns in SIZES:
        torus = Torus(planes, each, stations)
        for packets in (few, many):
            measure(torus, packets, target_ns)


if __name__ == "__main__":
    main()

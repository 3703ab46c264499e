"""Packets/s of the relay: 64-byte datagrams over one link and over ten transit hops, with one thread and with two.

python -m benchmarks packets          (SECONDS=3 makes each measurement shorter, REPEAT=3 makes three)

Each figure stands beside its floor in the same run: the same two ports with a loop that reads and writes and does
nothing else. "Taken of a flood" is what comes through when the sender gives all that it can. "Without loss" is the
highest rate, found by halving, at which not one packet was lost in so many seconds; then the loss at the target itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from math import inf

from benchmarks.chain import Chain, in_sandbox
from benchmarks.figures import REPEAT, SECONDS, spread, tell
from benchmarks.load import HEADERS, deaf, flood
from emulator.model.network import EndSpec, PiecewiseSchedule

SIZE = 64
TARGETS = {0: 350_000, 10: 300_000}  # transit hops, packets/s without loss
HALVINGS = 5
DRAIN_S = 0.3


def offer(chain: Chain, packets_per_s: float = inf) -> tuple[float, float, int]:
    """Packets/s offered, packets/s that came through, and how many were lost."""
    seconds = min(SECONDS, 3.0)
    offered, received = chain.offered(), chain.received()
    began = time.monotonic()
    chain.wait(chain.fork(lambda: flood(chain.address, SIZE - HEADERS, seconds, packets_per_s), 0))
    took = time.monotonic() - began
    through = chain.received() - received
    time.sleep(DRAIN_S)
    offered, received = chain.offered() - offered, chain.received() - received
    return offered / took, through / took, offered - received


def most_without_loss(chain: Chain, most: float) -> float:
    """The highest rate offered of which nothing was lost, up to `most`."""
    low, high, best = 0.0, most, 0.0
    for turn in range(HALVINGS):
        rate, _, lost = offer(chain, (low + high) / 2 if turn else most * 0.9)
        if lost:
            high = min(high, rate)
        else:
            best = low = max(best, rate)
    return best


def measure_chain(make: Callable[[], Chain], target: float) -> dict[str, float]:
    """The figures of one chain, by name."""
    chain = make()
    sink = chain.fork(lambda: deaf(1e4), chain.last)
    time.sleep(0.3)
    offer(chain, 20_000)  # everything is there and warm
    cpu_s, received = chain.relay_cpu_s(), chain.received()
    _, taken, _ = offer(chain)
    cost_us = (chain.relay_cpu_s() - cpu_s) / max(1, chain.received() - received) * 1e6
    best = most_without_loss(chain, 1.2 * taken)
    rate, _, lost = offer(chain, target)
    chain.kill(sink)
    chain.stop()
    loss = lost / rate / min(SECONDS, 3.0) * 100
    return {"taken": taken, "cost": cost_us, "best": best, "at": rate, "loss": loss}


def packets() -> None:
    link = EndSpec(schedule=PiecewiseSchedule.constant(0.001))
    for transit, target in TARGETS.items():
        kinds: dict[str, Callable[[], Chain]] = {
            "floor": lambda: Chain(0, link, bare_s=0.0),
            "one thread": lambda transit=transit: Chain(transit, link),  # type: ignore[misc]
            "two threads": lambda transit=transit: Chain(transit, link, threads=2),  # type: ignore[misc]
        }
        figures: dict[str, list[dict[str, float]]] = {name: [] for name in kinds}
        for _ in range(REPEAT):
            for name, make in kinds.items():
                figures[name].append(measure_chain(make, target))
        floor = _columns(figures.pop("floor"))
        for name, found in figures.items():
            columns = _columns(found)
            tell(
                f"64-byte UDP, {transit} transit hops, {name}",
                f"without loss {spread(columns['best'])} packets/s, taken of a flood {spread(columns['taken'])} at "
                f"{spread(columns['cost'], 2)} us CPU each, of {spread(columns['at'])} offered "
                f"{spread(columns['loss'], 3)} % lost",
                f"system calls {spread(floor['best'])} and {spread(floor['taken'])}, {spread(floor['loss'], 3)} % lost",
                f">= {target:,} without loss" if name == "one thread" else "",
            )


def _columns(found: list[dict[str, float]]) -> dict[str, list[float]]:
    return {name: [row[name] for row in found] for name in found[0]}


if __name__ == "__main__":
    in_sandbox(packets)

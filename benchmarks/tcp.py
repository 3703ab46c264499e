"""Goodput of bulk TCP through the relay, by iperf3, and what the engine takes of a core for it.

python -m benchmarks tcp              (SECONDS=5 makes each measurement shorter, REPEAT=3 makes three)

Beside each figure stands what is possible: with a rate its share that is payload of full segments (1,448 of 1,500 bytes
in IPv4 with timestamps), without one the goodput over a veth pair in the same run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from benchmarks.chain import Chain, in_sandbox
from benchmarks.direct import Direct
from benchmarks.figures import REPEAT, SECONDS, shown, spread, tell
from benchmarks.load import Goodput, iperf
from emulator.model.network import Effects, EndSpec, PiecewiseSchedule

PAYLOAD = 1448 / 1500


@dataclass(frozen=True, slots=True)
class Case:
    """A chain of links and what flows through it."""

    what: str
    links: int
    rate_bps: float
    delay_s: float  # of each link
    queue_s: float
    flows: int
    target: str
    threads: int = 1


CASES = (
    Case("10 ms, one link", 1, 1e9, 0.010, 0.05, 1, ">= 950"),
    Case("1 ms, one link", 1, inf, 0.001, inf, 1, ">= 10,000"),
    Case("1 ms, one link", 1, inf, 0.001, inf, 4, ""),
    Case("12 links of 1 ms", 12, 5e8, 0.001, 0.05, 1, ">= 480, engine <= 15 % of a core"),
    Case("12 links of 1 ms", 12, 5e8, 0.001, 0.05, 4, ""),
    Case("10 ms, queue of 20 ms", 1, 5e8, 0.010, 0.02, 1, ">= 460"),
    Case("1 ms, one link, two threads", 1, inf, 0.001, inf, 1, "", 2),
    Case("12 links of 1 ms, two threads", 12, 5e8, 0.001, 0.05, 1, "", 2),
)


def through(case: Case) -> tuple[Goodput, float, float, dict[str, int]]:
    """Goodput, the engine's share of a core, lateness p99 in ms, and drops."""
    spec = EndSpec(Effects(queue_s=case.queue_s), PiecewiseSchedule.constant(case.delay_s, case.rate_bps))
    chain = Chain(case.links - 1, spec, threads=case.threads)
    netns = chain.fabric.netns
    found = iperf(netns(chain.last), netns(0), chain.address, case.flows, SECONDS)
    final = chain.stop()
    return found, final.engine_share * 100, final.late_ms(0.99), final.drops


def direct(flows: int) -> Goodput:
    pair = Direct()
    try:
        if pair.trouble:
            return Goodput(0.0, 0, pair.trouble)
        return iperf(pair.netns[1], pair.netns[0], pair.address, flows, min(SECONDS, 4.0))
    finally:
        pair.close()


def tcp() -> None:
    peers: dict[int, list[float]] = {}
    for case in CASES:
        rounds = [through(case) for _ in range(REPEAT)]
        trouble = next((found.trouble for found, *_ in rounds if found.trouble), "")
        what = f"TCP, {shown(case.rate_bps)}, {case.what}, {case.flows} flow{'s' * (case.flows > 1)}"
        if trouble:
            tell(what, trouble)
            continue
        if case.rate_bps < inf:
            beside = f"{case.rate_bps * PAYLOAD / 1e6:.0f} Mbit/s possible"
        else:
            if case.flows not in peers:
                peers[case.flows] = [direct(case.flows).mbit_s for _ in range(REPEAT)]
            beside = f"a veth pair {spread(peers[case.flows])} Mbit/s"
        tell(
            what,
            f"{spread([found.mbit_s for found, *_ in rounds])} Mbit/s, engine {spread(_column(rounds, 1), 1)} % of a "
            f"core, late p99 {spread(_column(rounds, 2), 2)} ms, retransmissions "
            f"{spread([found.retransmits for found, *_ in rounds])}, drops {rounds[-1][3]}",
            beside,
            case.target,
        )


def _column(rounds: Sequence[tuple[Goodput, float, float, dict[str, int]]], place: int) -> list[float]:
    return [float(row[place]) for row in rounds]  # type: ignore[arg-type]


if __name__ == "__main__":
    in_sandbox(tcp)

"""The long run of the consensus rules: a million blocks early-final by rule 6.1 on random DAGs, and none wrong.

Every view of every DAG is compared with the run that holds the whole DAG: order of commits, blocks ordered twice,
leaders apart, places of early-final blocks, foreign reads. `python -m benchmarks.dagbft_rules [EARLY_EVENTS]`; a
breach ends it with code 1 and the seed that shows it. Then the time that one block costs a validator, by committee.
"""

from __future__ import annotations

import sys
import time
from random import Random

from nodes.dagbft.consensus.coin import SeededCoin
from nodes.dagbft.consensus.committee import Committee, Hashed
from nodes.dagbft.consensus.core import PROTOCOLS, Commit, Rules
from nodes.dagbft.consensus.dag import Block
from nodes.dagbft.consensus.early import Early
from nodes.dagbft.consensus.run_file import feed
from tests.oracle.dagbft_compare import Reference
from tests.oracle.dagbft_dags import WEATHERS, random_dag, random_view

WANTED = 1_000_000
SETTINGS = [  # protocol, order, validators, rounds
    (protocol, order, n, rounds)
    for n, rounds in ((4, 24), (7, 20), (10, 20))
    for protocol in PROTOCOLS
    for order in ("causal", "support-gated")
]
LOOK_BACKS = (2, 3, 4, 6, 50)


class Tally:
    """What was looked at in one setting."""

    def __init__(self) -> None:
        self.dags = self.views = self.blocks = self.commits = self.fallback = self.early = self.reads = self.wrong = 0


def check_dag(setting: tuple[str, str, int, int], seed: int, tally: Tally) -> list[str]:
    """One random DAG in five views; the breaches that were found."""
    protocol, order, n, rounds = setting
    random, committee = Random(f"{setting}/{seed}"), Committee(n)
    rules = Rules(protocol, Hashed(n, seed), order, look_back=LOOK_BACKS[seed % len(LOOK_BACKS)])
    blocks = random_dag(committee, rounds, WEATHERS[seed % len(WEATHERS)], random)
    whole, events = feed(blocks, committee, rules, SeededCoin(committee, seed))
    reference = Reference(whole, events)
    found = reference.breaches(whole, events)
    tally.dags += 1
    for _ in range(5):
        view = random_view(blocks, n, committee.faults, random)
        validator, events = feed(view, committee, rules, SeededCoin(committee, seed))
        found += reference.breaches(validator, events)
        tally.views += 1
        tally.blocks += len(view)
        for event in events:
            if isinstance(event, Early):
                tally.early += 1
            else:
                tally.commits += 1
                tally.fallback += event.kind == "fallback"
        if order == "causal":
            reads, wrong = reference.foreign_reads(validator, events, lambda r, a: {"k0"} if (r + a) % 3 else set())
            tally.reads += reads
            found += wrong
    tally.wrong += len(found)
    return found


def long_run(wanted: int) -> bool:
    tallies = [Tally() for _ in SETTINGS]
    began, seed, good = time.perf_counter(), 0, True
    while sum(tally.early for s, tally in zip(SETTINGS, tallies, strict=True) if s[1] == "causal") < wanted:
        for setting, tally in zip(SETTINGS, tallies, strict=True):
            for breach in check_dag(setting, seed, tally):
                print(f"WRONG {setting} seed {seed}: {breach}", flush=True)
                good = False
        seed += 1
    print("protocol      order          n     DAGs   views     blocks  commits fallback      early  reads  wrong")
    for (protocol, order, n, _), t in zip(SETTINGS, tallies, strict=True):
        counts = (
            f"{t.dags:8} {t.views:7} {t.blocks:10} {t.commits:8} {t.fallback:8} {t.early:10} {t.reads:6} {t.wrong:6}"
        )
        print(f"{protocol:13} {order:13} {n:2} {counts}")
    early, reads = sum(t.early for t in tallies), sum(t.reads for t in tallies)
    taken_s = time.perf_counter() - began
    print(
        f"{early} early events and {reads} foreign reads, wrong = {sum(t.wrong for t in tallies)}, in {taken_s:.0f} s"
    )
    return good


def cost(n: int, rounds: int, protocol: str) -> None:
    """Time of one block in a validator that has all of them in time."""
    committee = Committee(n)
    everybody = (1 << n) - 1
    blocks = [Block(r, a, everybody if r > 1 else 0) for r in range(1, rounds + 1) for a in range(n)]
    began = time.perf_counter()
    _, events = feed(blocks, committee, Rules(protocol), SeededCoin(committee, 1))
    taken_s = time.perf_counter() - began
    early = {event.block for event in events if isinstance(event, Early)}
    ordered = [slot for event in events if isinstance(event, Commit) for slot in event.blocks]
    share = sum(slot in early for slot in ordered) / len(ordered)
    print(
        f"  n={n:3} {protocol:13} {taken_s / len(blocks) * 1e6:6.1f} us a block, {share:.1%} of the ordered were early"
    )


def main() -> None:
    good = long_run(int(sys.argv[1]) if len(sys.argv) > 1 else WANTED)
    for n in (4, 10, 20, 50):
        for protocol in PROTOCOLS:
            cost(n, 200, protocol)
    if not good:
        sys.exit(1)


if __name__ == "__main__":
    main()

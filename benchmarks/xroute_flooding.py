"""Flooding of advertisements: how fast a change gets around, and what that takes.

python -m benchmarks xroute_flooding [RELAYERS …]     by default 6 and 20

Relayers with four neighbours each, links of 20 to 60 ms, 1 % of messages lost, on a clock that jumps: seconds are of
the emulated time, so that no other program disturbs them. They hold 1,234 advertisements, those of 617 pairs of chains:
all are said at once, then 40 are changed, one after another, then a relayer joins that knows none. Only processor time
is of this machine.
"""

from __future__ import annotations

import sys
from random import Random
from time import process_time

import networkx as nx

from nodes.xroute.flooding.ads import EdgeAd, issued, read
from nodes.xroute.flooding.convergence import convergence_s
from nodes.xroute.flooding.database import Database
from nodes.xroute.flooding.flood import Settings
from tests.support.xroute_flood import START_MS, Net, edge_ad, key_of

EDGES = 1234  # 617 pairs of chains, both ways
CHANGES = 40
SETTINGS = Settings()


def net_of(count: int) -> Net:
    graph = nx.random_regular_graph(4, count, seed=count)
    names = [f"r{number}" for number in range(count)]
    links = [(names[a], names[b]) for a, b in graph.edges]
    return Net(names, links, seed=count, loss=0.01, delay_ms=(20, 60), settings=SETTINGS)


def announce_all(net: Net) -> None:
    for number in range(EDGES):
        net.announce(net.names[number % len(net.names)], edge_ad(f"c{number % 170}", f"d{number}"))


def row(count: int) -> None:
    net = net_of(count)
    announce_all(net)
    loading_ms = net.until(net.converged, 120_000)
    loading_bytes = net.sent_bytes
    net.run(1_000)
    net.ages.clear()
    random, before, quiet_ms = Random(count), net.sent_bytes, 2_000
    for number in random.sample(range(EDGES), CHANGES):
        ad = edge_ad(f"c{number % 170}", f"d{number}", delay_s=1)
        net.announce(net.names[number % count], ad)
        net.run(quiet_ms)
    changing = net.sent_bytes - before
    before = net.sent_bytes
    net.run(CHANGES * quiet_ms)
    digests = net.sent_bytes - before
    times = sorted(convergence_s(net.ages, count).values())
    per_change = (changing - digests) / CHANGES
    joining_before = net.sent_bytes
    net.restart("r0")
    joining_ms = net.until(lambda: len(net.relayers["r0"].database) == EDGES, 120_000)
    print(
        f"{count:8} {loading_ms / 1000:8.1f} {loading_bytes / 1e6:8.1f} {times[len(times) // 2]:8.2f} {times[-1]:8.2f} "
        f"{per_change / 1000:8.1f} {8 * digests / (CHANGES * quiet_ms) / count:8.1f} {joining_ms / 1000:8.1f} "
        f"{(net.sent_bytes - joining_before) / 1e6:8.2f}"
    )


def cost() -> None:
    """Processor time of one advertisement at a relayer, and its bytes."""
    key = key_of("r0")
    ads = [issued(edge_ad("a", f"b{number}", max_age_s=600), key, 1, START_MS).data for number in range(1000)]
    database = Database({key.public: 1})
    begin = process_time()
    for data in ads:
        database.offer(read(EdgeAd, data), START_MS)
    taking_ms = process_time() - begin
    begin = process_time()
    for data in ads:
        database.offer(read(EdgeAd, data), START_MS)
    known_ms = process_time() - begin
    print(f"\nan advertisement of {len(ads[0])} bytes: {taking_ms:.3f} ms to take in, {known_ms:.3f} ms if it is known")


def main() -> None:
    print("          all at once        a change reaches 95 %         quiet     a relayer joins")
    print("relayers        s       MB  median s     max s       kB    kbit/s        s       MB")
    for count in map(int, sys.argv[1:] or ("6", "20")):
        row(count)
    cost()


if __name__ == "__main__":
    main()

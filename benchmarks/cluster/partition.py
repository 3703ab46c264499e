"""How well networks are cut over hosts, and how long that takes: `python -m benchmarks cluster partition`.

Starlink's first shell with 12 stations, and 7,000 element sets of eight shells with 50 stations; stations have an
antenna each; a minute of 1 s steps. Beside each figure stands that of equal numbers of satellites a host, in order.
Seconds are of processor time: delays of all steps, routes at five instants, and the partition itself.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.figures import tell
from benchmarks.plan import SETS, STATIONS, element_sets
from emulator.model.network import Network
from emulator.runtime.cluster.demand import sums
from emulator.runtime.cluster.layout import Layout, lay_out
from emulator.scenario import load
from emulator.scenario.build import build_network

HOSTS = (2, 4, 8)
SHELL = """
name = "shell-1"
topology = "topologies.leo"
[[program]]
name = "probe"
nodes = "gs-*"
run = "nodes.traffic.probe:Probe"
"""


def by_number(network: Network, hosts: int) -> np.ndarray:
    """As many satellites on each host, in their order, and stations likewise."""
    owner = np.zeros(len(network.nodes), np.int64)
    live = np.array([node.live for node in network.nodes])
    for group in (np.flatnonzero(~live), np.flatnonzero(live)):
        owner[group] = np.arange(len(group)) * hosts // len(group)
    return owner


def figures(network: Network, layout: Layout, owner: np.ndarray, hosts: int) -> tuple[str, str, str]:
    """Load of the fullest host by the mean, hops that cross, the shortest delays of links that are used and cut."""
    traffic, near = layout.demand.traffic, layout.near
    load = sums(owner, layout.demand.cpu, hosts)
    across = owner[traffic.tail] != owner[traffic.head]
    fixed = np.array([not link.moving for link in network.links])[near.link]
    cut = owner[near.a] != owner[near.b]
    shortest = [f"{near.shortest_s[cut & kind].min() * 1e3:.2f}" for kind in (fixed, ~fixed)]
    hops = traffic.packets_per_s
    return f"{load.max() / load.mean():.2f}", f"{hops[across].sum() / hops.sum():.1%}", " / ".join(shortest)


def cut(label: str, file: Path, elements: Path | None = None) -> None:
    scenario = load(file, (), elements)
    network = build_network(scenario)
    print(f"{label}: {len(network.nodes):,} nodes, {len(network.links):,} links")
    for hosts in HOSTS:
        began = time.process_time()
        layout = lay_out(scenario, network, hosts)
        took_s = time.process_time() - began
        found = figures(network, layout, layout.partition.owner, hosts)
        other = figures(network, layout, by_number(network, hosts), hosts)
        tell(f"  {hosts} hosts, load max/mean", found[0], other[0], "1.15")
        tell("    hops that cross", found[1], other[1], "10 %")
        tell("    shortest delay across of fixed / moving links, ms", found[2], other[2], "1")
        tell("    processor time", f"{took_s:.2f} s", target="2 s" if hosts == 4 else "")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        shell, sets, many = (Path(folder) / name for name in ("shell.toml", "made.tle", "many.toml"))
        shell.write_text(SHELL)
        cut("Starlink shell 1, 12 stations", shell)
        sets.write_text(element_sets(SETS))
        named = ", ".join(f'"{name}"' for name in STATIONS)
        many.write_text(f"{SHELL}[ground]\nstations = [{named}]\n")
        cut(f"{SETS:,} element sets, {len(STATIONS)} stations", many, sets)

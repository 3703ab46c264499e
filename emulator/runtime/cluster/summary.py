"""A layout in figures: what each host has to do, and what crosses between hosts. Plain values, for `skyloom plan`.

Invariant: hosts and their nodes add up to the network; a share is of packets over links, not of packets sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from emulator.model.names import matching
from emulator.runtime.cluster.demand import PAIR_PACKETS_PER_S, sums

if TYPE_CHECKING:
    from emulator.model.network import Bools, Floats, Ints, Network
    from emulator.runtime.cluster.layout import Layout
    from emulator.scenario.schema.models import Scenario

# Memory, from runs of `leo` with 12 and with 1,596 live nodes (docs/performance.md), which it meets within 7 %.
HOST_BYTES = 200e6  # processes of a run itself
LIVE_NODE_BYTES = 0.66e6  # of the kernel, for a namespace with five ports
PROCESS_BYTES = 2.9e6  # of a Python program
ROWS = 4  # in the ring of each host


def summary(scenario: Scenario, network: Network, layout: Layout, schedule_cpu: float) -> dict[str, Any]:
    """`hosts`, `cut` and `owner` of a layout. `schedule_cpu`: cores that rows take, on each host alike."""
    owner = layout.partition.owner
    names = [node.name for node in network.nodes]
    return {
        "hosts": _hosts(scenario, network, layout, schedule_cpu),
        "cut": _cut(scenario, network, layout),
        "owner": dict(zip(names, owner.tolist(), strict=True)),
    }


def _hosts(scenario: Scenario, network: Network, layout: Layout, schedule_cpu: float) -> list[dict[str, Any]]:
    owner, hosts, asked = layout.partition.owner, layout.partition.hosts, layout.demand
    live = np.array(network.live, dtype=np.int64)
    ends = network.end_points
    processes = _python_processes(scenario, network)
    rows_bytes = ROWS * 4 * len(live) * len(network.nodes)
    hops = sums(owner[asked.traffic.tail], asked.traffic.packets_per_s, hosts)
    engine, programs = sums(owner, asked.engine, hosts), sums(owner, asked.programs, hosts)
    load = sums(owner, asked.cpu, hosts)
    return [
        {
            "host": host,
            "nodes": int(np.count_nonzero(owner == host)),
            "live_nodes": int(np.count_nonzero(owner[live] == host)),
            "end_points": [network.nodes[node].name for node in ends if owner[node] == host],
            "hops_per_s": float(hops[host]),
            "cpu": {
                "engine": float(engine[host]), "schedule": schedule_cpu, "programs": float(programs[host]),
            },
            "cores": None if layout.cores is None else layout.cores[host],
            "share": float(load[host] / load.sum()),
            "memory_bytes": HOST_BYTES
            + LIVE_NODE_BYTES * int(np.count_nonzero(owner[live] == host))
            + PROCESS_BYTES * int(processes[owner == host].sum())
            + rows_bytes,
        }
        for host in range(hosts)
    ]  # fmt: skip


def _python_processes(scenario: Scenario, network: Network) -> Ints:
    count = np.zeros(len(network.nodes), np.int32)
    live = {network.nodes[node].name: node for node in network.live}
    for program in scenario.programs:
        if program.run is not None:
            count[[live[name] for name in matching(program.nodes, live)]] += 1
    return count


def _cut(scenario: Scenario, network: Network, layout: Layout) -> dict[str, Any]:
    owner, hosts, near, traffic = layout.partition.owner, layout.partition.hosts, layout.near, layout.demand.traffic
    moving = np.array([link.moving for link in network.links], dtype=np.bool_)
    packets, across = traffic.packets_per_s, owner[traffic.tail] != owner[traffic.head]
    over_moving = moving[traffic.end // 2]
    all_hops, crossing = float(packets.sum()), float(packets[across].sum())
    fixed, cut = ~moving[near.link], owner[near.a] != owner[near.b]
    ways = sums(
        owner[traffic.tail[across]].astype(np.int64) * hosts + owner[traffic.head[across]], packets[across], hosts**2
    )
    load = sums(owner, layout.demand.cpu, hosts)
    cores = np.array(layout.cores or [1.0] * hosts)
    share = load.sum() * cores / cores.sum()
    first = _sent_first(network, layout)
    return {
        "measured": layout.measured,
        "assumed": None if layout.measured else _assumed(scenario, network),
        "fixed_links": int(np.count_nonzero(fixed)),
        "fixed_links_cut": int(np.count_nonzero(cut & fixed)),
        "hops_share": crossing / all_hops if all_hops else 0.0,
        "moving_hops_share": _share(packets, over_moving & across, over_moving),
        "hops_per_packet": all_hops / first if first else None,
        "crossings_per_packet": crossing / first if first else None,
        "trunks": hosts * (hosts - 1) // 2,
        "busiest_trunk_share": float(ways.max() / crossing) if crossing else 0.0,
        "balance": float((load / share).max()),
        "min_cross_ms": layout.rules.min_cross_s * 1e3,
        **_shortest(network, layout),
        **_kept_whole(network, layout),
    }


def _assumed(scenario: Scenario, network: Network) -> str:
    if scenario.cluster.load:
        return "those of [[cluster.load]]"
    if network.routing == "none":
        return f"{PAIR_PACKETS_PER_S:g} packets/s on each link end"
    return f"{PAIR_PACKETS_PER_S:g} packets/s from each of {len(network.end_points)} end points to each other one"


def _share(packets: Floats, part: Bools, whole: Bools) -> float | None:
    total = float(packets[whole].sum())
    return float(packets[part].sum()) / total if total else None


def _sent_first(network: Network, layout: Layout) -> float:
    """Packets a second that begin their way; 0 where nobody can tell: end points forward, or there are no routes."""
    ends = network.end_points
    if network.routing == "none" or any(network.nodes[node].forwards for node in ends):
        return 0.0
    traffic = layout.demand.traffic
    return float(traffic.packets_per_s[np.isin(traffic.tail, ends)].sum())


def _shortest(network: Network, layout: Layout) -> dict[str, Any]:
    """The shortest delay of a link that may cross, and its name."""
    near, owner = layout.near, layout.partition.owner
    cut = np.flatnonzero((owner[near.a] != owner[near.b]) & np.isfinite(near.shortest_s))
    if not len(cut):
        return {"shortest_ms": None, "shortest_link": None}
    least = int(cut[near.shortest_s[cut].argmin()])
    return {
        "shortest_ms": float(near.shortest_s[least]) * 1e3,
        "shortest_link": network.links[near.link[least]].name,
    }


def _kept_whole(network: Network, layout: Layout) -> dict[str, Any]:
    """The units that links below the bound hold together, the largest first."""
    near, unit = layout.near, layout.partition.unit
    short = near.shortest_s < layout.rules.min_cross_s
    links = np.bincount(unit[near.a[short]], minlength=int(unit.max()) + 1)
    nodes = np.bincount(unit)
    whole = sorted(np.flatnonzero(links).tolist(), key=lambda each: (-nodes[each], each))
    return {
        "short_links": int(np.count_nonzero(short)),
        "kept_whole": [
            {
                "nodes": int(nodes[each]), "links": int(links[each]),
                "first": network.nodes[int(np.flatnonzero(unit == each)[0])].name,
            }
            for each in whole
        ],
    }  # fmt: skip

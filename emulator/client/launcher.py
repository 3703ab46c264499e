"""How a run begins: on this machine in a fork, over machines of a cluster, or led by one of them.

Invariant: the sandbox ends with the process that called `launch`, unless it was detached.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from emulator.client.run_handle import RunHandle
from emulator.runtime.control.channel import Channel

if TYPE_CHECKING:
    from emulator.model.network import Network
    from emulator.record.folder import RunFolder
    from emulator.runtime.cluster.partition import Partition
    from emulator.runtime.cluster.pods import Pods
    from emulator.runtime.cluster.ray_cluster import RayCluster
    from emulator.scenario import Scenario


def launch(
    scenario: Scenario, folder: RunFolder, *, capture: Sequence[str] = (), hosts: int | None = None,
    cluster: str | None = None,
) -> RunHandle:  # fmt: skip
    """Start a run of `scenario` into `folder`; `capture` names link ends beside those of the scenario.
    `hosts`: over how many pseudo-hosts of this machine it is spread; with `cluster`: over how many of its machines at
    most. How the address of a cluster begins says what it is:

        ray://…         a Ray cluster that this machine is none of; one of its machines leads the run
        pods:…          machines that run `skyloom cluster pod`
        …, or `auto`    a Ray cluster that this machine belongs to

    Call it before the process has threads. Raises ScenarioError or DataError for faults that the topology finds, and
    PlatformError if no sandbox can be made; nothing is left behind then.
    """
    if cluster is None:
        return _launch_here(scenario, folder, capture, hosts, None)
    from emulator.runtime.cluster import pods, ray_joining

    if cluster.startswith(ray_joining.CLIENT):
        from emulator.client.ray_front import launch_from_outside

        return launch_from_outside(scenario, folder, cluster, hosts, capture)
    if cluster.startswith(pods.PREFIX):
        return _launch_here(scenario, folder, capture, hosts, partial(pods.Pods, cluster))
    from emulator.runtime.cluster.ray_cluster import RayCluster

    return _launch_here(scenario, folder, capture, hosts, partial(RayCluster, cluster))


def _launch_here(
    scenario: Scenario, folder: RunFolder, capture: Sequence[str], hosts: int | None,
    join: Callable[[str, int | None], Pods | RayCluster] | None,
) -> RunHandle:  # fmt: skip
    """Start a run that this machine leads; `join` takes the scenario's directory, and how many machines at most."""
    from emulator.fabric import sandbox
    from emulator.runtime.data_plane import with_routed_ipv6
    from emulator.runtime.supervisor import live
    from emulator.scenario.build import build_network

    network = build_network(scenario)
    machines, partition = None, None
    if join is not None:
        machines = join(scenario.directory, hosts)
        hosts = len(machines.names())
    if hosts is not None and (hosts > 1 or machines is not None):
        try:
            scenario, partition = _divided(scenario, network, hosts, folder, machines.cores if machines else None)
        except BaseException:
            if machines is not None:
                machines.close()
            raise
    listener = live.listen(folder.run_id)
    ours, theirs = Channel.pair()
    root = os.geteuid() == 0

    def main() -> int:
        from emulator.runtime.supervisor.supervisor import Supervisor

        gc.freeze()  # a collection over the caller's objects would copy their pages
        return Supervisor(scenario, folder, network, theirs, listener, capture, root, partition, machines).run()

    routed = with_routed_ipv6(network).nodes
    names = {node.name: (node.ipv4, node.ipv6) for node in routed if node.ipv4}  # transit nodes answer pings too
    try:
        pid = sandbox.spawn(
            main, names, keep_fds={theirs.fileno(), listener.fileno(), *(machines.fds if machines else ())}
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
        listener.close()
        if machines is not None:
            machines.close()
    return RunHandle(pid, ours, folder)


def _divided(
    scenario: Scenario, network: Network, hosts: int, folder: RunFolder, cores: Sequence[float] | None
) -> tuple[Scenario, Partition]:
    """Which host each node is on, and the scenario as the run folder keeps it: with the cores of the hosts and the hash
    of the layout, so that it repeats. A warning where an earlier run over as many hosts had nodes elsewhere."""
    from emulator.runtime.cluster.layout import differs, lay_out, owner_hash

    layout = lay_out(scenario, network, hosts, cores=cores)
    found = owner_hash(network, layout.partition)
    if differs(scenario, found):
        folder.warn(
            f"nodes are on other hosts of the {hosts} than in the run that the scenario is from: this follows from its "
            "keys, the cores of the hosts and the version of Skyloom"
        )
    cluster = scenario.cluster.model_copy(update={"owner_hash": found, "cores": layout.cores or ()})
    return scenario.model_copy(update={"cluster": cluster}), layout.partition

"""The caller's side of a run: it forks the sandbox, receives snapshots, passes Ctrl-C on, and returns the exit code.

Invariant: the sandbox ends with the process that called `launch`, unless it was detached. Every end of a run, for any
reason, ends `snapshots()`, and `wait()` returns or raises within seconds.
"""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from emulator.client.watch import decoded
from emulator.model.errors import EXIT_INTERRUPTED, EmulationError
from emulator.runtime.control.channel import Channel
from emulator.runtime.control.messages import (
    TO_LAUNCHER,
    Act,
    Detach,
    FromLauncher,
    RunEnded,
    SetView,
    ShowSnapshot,
    Stop,
)  # fmt: skip
from emulator.runtime.control.transport import Transport, hear, say

if TYPE_CHECKING:
    from emulator.model.network import Network
    from emulator.observe.snapshot import Snapshot
    from emulator.observe.view import View
    from emulator.record.folder import RunFolder
    from emulator.runtime.cluster.partition import Partition
    from emulator.runtime.cluster.pods import Pods
    from emulator.runtime.cluster.ray_cluster import RayCluster
    from emulator.scenario import Scenario

KILLING_STOP = 3  # request to stop that kills the run


class RunHandle:
    """A run in its sandbox."""

    def __init__(self, pid: int, channel: Transport, folder: RunFolder) -> None:
        self.pid = pid
        self.folder = folder
        self.stops = 0
        self.error = ""  # of a failed run
        self.channel = channel
        self._end: RunEnded | None = None
        self.detached = False

    @property
    def fd(self) -> int:
        """Descriptor that becomes readable when there is a snapshot."""
        return self.channel.fileno()

    def snapshots(self) -> Iterator[Snapshot]:
        """Snapshots, some four a second, until the run has ended."""
        while (snapshot := self.receive()) is not None:
            yield snapshot

    def receive(self) -> Snapshot | None:
        """The next snapshot; None: the run has ended."""
        if self._end is not None:
            return None
        try:
            message = hear(self.channel, TO_LAUNCHER)
        except OSError:
            return None
        if isinstance(message, ShowSnapshot):
            return decoded(message.snapshot)
        self._end = message
        return None

    def view(self, view: View) -> None:
        """Set the view: further snapshots have its rows."""
        self._say(SetView(view))

    def fault(self, action: Mapping[str, Any]) -> None:
        """Perform an action, as an `[[action]]` does. An event reports the result."""
        self._say(Act(dict(action)))

    def detach(self) -> None:
        """Let the run continue without this process, which may then end. EmulationError if that fails."""
        from emulator.fabric import sandbox

        self._say(Detach())
        if not sandbox.detach(self.pid):
            raise EmulationError(f"run {self.folder.run_id} cannot be detached: its sandbox does not answer")
        self.detached = True

    def _say(self, message: FromLauncher) -> None:
        try:
            say(self.channel, message)
        except OSError:  # it has ended by itself
            pass

    def stop(self) -> None:
        """Ask the run to end: the first time gracefully, with a verdict; a second time at once; a third kills it."""
        self.stops += 1
        self._say(Stop())
        if self.stops >= KILLING_STOP:
            self.kill()

    def kill(self) -> None:
        """Kill every process of the run; the kernel removes its network."""
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    @contextmanager
    def forwarding_interrupts(self) -> Iterator[None]:
        """In this block, SIGINT and SIGTERM to this process stop the run instead of this process."""
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        for number in before:
            signal.signal(number, lambda *_: self.stop())
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def wait(self) -> int:
        """The exit code of the run. EmulationError if it has an error and no verdict, or if its sandbox ended without a
        message, and not by `stop`."""
        for _ in self.snapshots():
            pass
        if self._end is None:
            self.kill()
        _, status = os.waitpid(self.pid, 0)
        self.channel.close()
        if self._end is None and self.stops >= KILLING_STOP:
            return EXIT_INTERRUPTED
        if self._end is None:
            code = os.waitstatus_to_exitcode(status)
            raise EmulationError(
                f"the run's supervisor ended without a verdict (status {code}); what it had recorded is in "
                f"{self.folder.path}"
            )
        self.error = self._end.error
        if self.error and not self.folder.has_verdict():
            error = EmulationError(self.error)
            error.exit_code = self._end.exit_code
            raise error
        return self._end.exit_code


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
    if cluster.startswith("ray://"):
        from emulator.client.ray_front import launch_from_outside

        return launch_from_outside(scenario, folder, cluster, hosts, capture)
    if cluster.startswith("pods:"):
        from emulator.runtime.cluster.pods import Pods

        return _launch_here(scenario, folder, capture, hosts, partial(Pods, cluster))
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

"""The parts of a run below its lead: data plane, zygotes and hosts, of one machine or of several.

Invariant: the lead asks for them in this order, and does not know which kind it has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from emulator.runtime.data_plane import DataPlane
from emulator.runtime.plane import Plane
from emulator.runtime.programs.hosts import Hosts
from emulator.runtime.programs.launch import Introduction
from emulator.runtime.programs.launches import Launches
from emulator.runtime.programs.processes import Process, Zygotes
from emulator.runtime.programs.zygote_link import ZygoteLink

if TYPE_CHECKING:
    from emulator.model.network import Network
    from emulator.record.folder import RunFolder
    from emulator.record.verdict import HostRow
    from emulator.scenario import Scenario


class RunZygotes(Zygotes, Protocol):
    """Where the processes of a run are forked."""

    def prepare(self, introduction: Introduction) -> None: ...


class RunHosts(Protocol):
    """What the nodes of a run are given."""

    def prepare(self, progress: Callable[[int, int], None]) -> None: ...
    def rows(self, processes: Sequence[Process], now_s: float) -> list[HostRow]: ...
    def close(self) -> None: ...


class Parts(Protocol):
    """Makes the parts of one run. `keys`: where programs log their TLS keys, if they do."""

    def plane(self) -> Plane: ...
    def programs(self, keys: Path | None) -> tuple[RunZygotes, RunHosts]: ...


class OneMachine:
    """The parts of a run on this machine."""

    def __init__(self, scenario: Scenario, network: Network, folder: RunFolder) -> None:
        self._scenario, self._network, self._folder = scenario, network, folder

    def plane(self) -> DataPlane:
        scenario = self._scenario
        self._plane = DataPlane(
            self._network, scenario.seed, scenario.duration_s,
            threads=scenario.engine.threads, realtime=scenario.fidelity.realtime,
        )  # fmt: skip
        return self._plane

    def programs(self, keys: Path | None) -> tuple[ZygoteLink, Hosts]:
        scenario, folder = self._scenario, self._folder
        hosts = Hosts(scenario, self._network, folder, self._plane.netns)
        resolve = Launches(scenario, hosts).resolve
        return ZygoteLink(scenario.seed, folder.logs, folder.path / "store", resolve, keys), hosts

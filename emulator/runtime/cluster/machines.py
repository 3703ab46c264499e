"""The machines of a run on several hosts, and what starts runners on them.

Invariant: a Task is all that a runner needs to know; whoever starts it says nothing to it afterwards.
"""

from __future__ import annotations

import socket
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from emulator.model.network import Network
    from emulator.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Task:
    """What host number `host` of a run has to do. `folder`: of the run, with its logs. `lead`: address and port."""

    host: int
    scenario: Scenario
    network: Network
    owner: NDArray[np.uint8]  # host of each node
    folder: Path
    run_id: str
    keys: Path | None  # where programs log their TLS keys
    secret: bytes  # from which the cookies of trunks follow
    identity: bytes  # of lead and hosts: control/tls.py
    lead: tuple[str, int]

    @property
    def hosts(self) -> int:
        return int(self.owner.max()) + 1

    @property
    def own_live(self) -> list[int]:
        """Live nodes of this host."""
        return [node for node in self.network.live if self.owner[node] == self.host]

    @property
    def log_name(self) -> str:
        """Within the folder of logs: what the host's own processes say."""
        return f"_host-{self.host}.txt"


class Cluster(Protocol):
    """Something that has machines."""

    def names(self) -> Sequence[str]:
        """What people call the machines, one each."""

    def listen(self) -> socket.socket:
        """A listening socket that all machines reach, for the lead."""

    def start(self, tasks: Sequence[Task]) -> None:
        """Start a runner with each task, on the machine of the same place. PlatformError."""

    def ended(self, host: int) -> str:
        """How the runner of a host ended, in words; "" while it runs or where nobody knows."""

    def release(self, silent: Collection[int] = ()) -> Sequence[str]:
        """End all runners, and let go of the machines. Nothing of `silent` hosts is waited for: they do not answer.
        Says what of the others has been lost on the way."""

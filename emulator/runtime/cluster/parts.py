"""The parts of a run on several hosts, made of one Lead; a `runtime.parts.Parts`."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from emulator.runtime.cluster.lead import Lead
from emulator.runtime.cluster.machines import Cluster, Task
from emulator.runtime.cluster.planes import SpreadHosts, SpreadPlane, SpreadZygotes
from emulator.runtime.control.tls import new_identity

if TYPE_CHECKING:
    from emulator.model.network import Network
    from emulator.record.folder import RunFolder
    from emulator.runtime.cluster.partition import Partition
    from emulator.scenario import Scenario

SECRET_BYTES = 32


class SeveralHosts:
    """The parts of a run on the hosts of `partition`, which are machines of `cluster`."""

    def __init__(
        self, scenario: Scenario, network: Network, folder: RunFolder, partition: Partition, cluster: Cluster,
        keys: Path | None,
    ) -> None:  # fmt: skip
        self._scenario, self._network, self._folder = scenario, network, folder
        listener = cluster.listen()
        host, port = listener.getsockname()[:2]
        secret, identity = secrets.token_bytes(SECRET_BYTES), new_identity()
        tasks = [
            Task(
                number, scenario, network, partition.owner, folder.path, folder.run_id, keys, secret, identity,
                (host, port),
            )
            for number in range(partition.hosts)
        ]  # fmt: skip
        self.lead = Lead(cluster, listener, tasks)
        self._owner = partition.owner.tolist()

    def plane(self) -> SpreadPlane:
        self._plane = SpreadPlane(self._scenario, self._network, self._folder, self.lead)
        return self._plane

    def programs(self, keys: Path | None) -> tuple[SpreadZygotes, SpreadHosts]:
        zygotes = SpreadZygotes(self._plane, self.lead, self._owner)
        return zygotes, SpreadHosts(self._scenario, self._network, self.lead)

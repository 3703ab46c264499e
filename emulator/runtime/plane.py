"""The data plane as the lead of a run sees it, whether it stands on one machine or on several.

`data_plane.DataPlane` is that of one machine; `cluster.planes.SpreadPlane` speaks to those of several hosts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from emulator.model.clock import monotonic_ns
from emulator.runtime.control.channel import Message
from emulator.runtime.planning import Planning

if TYPE_CHECKING:
    from emulator.model.network import Network
    from emulator.record.spool import Spool
    from emulator.record.verdict import Verdict
    from emulator.record.verdict.schema import MachineRow, TrunkRow


class Plane(Planning, ABC):
    """Planner, fabric and relay."""

    here = True  # whether programs run in this sandbox, whose /proc has them

    def __init__(self, network: Network, duration_s: float, compared: bool = False) -> None:
        super().__init__(network, duration_s, compared)
        self.on_report: Callable[[Message], None] = lambda message: None  # what the relay says
        self.refused_routes: list[str] = []

    @abstractmethod
    def build(self, progress: Callable[[int, int], None]) -> None:
        """Make namespaces and ports. `progress(done, total)` may raise to stop it."""

    @abstractmethod
    def apply_first_routes(self, progress: Callable[[float, float], None]) -> None:
        """Set the kernel routes of the first step."""

    @abstractmethod
    def start_relay(self, close: list[int]) -> None:
        """Start what moves packets; `close`: descriptors that it must not keep."""

    @abstractmethod
    def tell_relay(self, message: Message, fds: tuple[int, ...] = ()) -> None:
        """Send an order to the relay. EmulationError if it does not accept it."""

    @abstractmethod
    def alter(self, message: Message) -> None:
        """Send the relay an order that follows from an action on links, or from links that moved."""

    @abstractmethod
    def act(self, action: Mapping[str, Any]) -> None:
        """A live action on links has been performed on our books. Those of the scenario are known everywhere."""

    @abstractmethod
    def switch_routes(self, step: int) -> Iterator[int]:
        """Apply the kernel routes that begin with `step`; yields now and then, for others to have a turn."""

    @abstractmethod
    def stop_relay(self, quickly: bool = False) -> bool:
        """Stop the relay and read its last statistics; returns whether they arrived. `quickly`: hardly wait."""

    @abstractmethod
    def packets_sent(self) -> Mapping[str, int]:
        """Packets that each node has sent by its ports, those among them that the kernel dropped too."""

    def captures_lost(self) -> int:
        """Packets of the run's own capture that were lost behind the relay."""
        return 0

    @property
    def node_hosts(self) -> Sequence[str]:
        """The names of the hosts on which nodes live, by node, where there are several."""
        return ()

    def hosts(self) -> tuple[list[MachineRow], list[TrunkRow]]:
        """Its hosts and the trunks between them, where there are several."""
        return [], []

    def tables(self) -> Sequence[Spool]:
        """Tables of the run that nobody else fills."""
        return ()

    def judged(self, verdict: Verdict, counters: Mapping[int, list[float]]) -> None:
        """Put into the verdict what only several hosts have. `counters`: the last of each link end."""

    async def agree(self, ahead_ns: int) -> int:
        """A T0 that everybody can meet, at least so far from now: a reading of the run's monotonic clock."""
        return monotonic_ns() + ahead_ns

    @property
    def ahead_ns(self) -> int:
        """How long before T0 everybody must hear of it."""
        return 50_000_000

    def warnings(self) -> Sequence[str]:
        """What a reader of the run must know so far."""
        return ()

"""One host of a run, as the lead knows it, and the error that names it."""

from __future__ import annotations

from dataclasses import dataclass, field

from emulator.model.errors import EXIT_PLATFORM, SkyloomError
from emulator.runtime.control.cluster_messages import Beat, Final, Hello, HostProgress, NodeTotals
from emulator.runtime.control.remote import Connection


class HostError(SkyloomError):
    """A host of the run has failed, or is lost."""

    def __init__(self, text: str, exit_code: int = EXIT_PLATFORM) -> None:
        super().__init__(text)
        self.exit_code = exit_code


@dataclass(slots=True)
class HostLink:
    """One host, as the lead knows it."""

    number: int
    connection: Connection
    hello: Hello
    heard_s: float = 0.0  # monotonic
    progress: HostProgress = field(default_factory=lambda: HostProgress(0.0, 1.0, ""))
    ready: bool = False
    more: bool = False  # frames of it wait in the connection
    beat: Beat = field(default_factory=Beat)
    totals: list[NodeTotals] = field(default_factory=list)
    final: Final | None = None
    gone: bool = False
    answers: bool = True  # else nothing of it is worth waiting for

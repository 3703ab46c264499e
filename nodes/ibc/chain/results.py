"""What became of a transaction: what CometBFT's ExecTxResult says, with events as messages emitted them.

Invariant: a result is of texts, numbers and bytes alone. A chain keeps those of all its blocks: as messages of protobuf
each attribute of each event would be one more object that garbage collections visit.
"""

from __future__ import annotations

from dataclasses import dataclass

from nodes.ibc.chain.errors import PANIC
from nodes.ibc.core.events import Event
from nodes.ibc.proto import comet

__all__ = ["TxResult", "encodable"]


@dataclass(frozen=True, slots=True)
class TxResult:
    """A code of 0 is success; `codespace` and `log` say what went wrong."""

    code: int = 0
    codespace: str = ""
    log: str = ""
    data: bytes = b""
    gas_wanted: int = 0
    gas_used: int = 0
    events: tuple[Event, ...] = ()

    @property
    def panicked(self) -> bool:
        """Whether it ran into a fault of this program, which no message should be able to do."""
        return (self.codespace, self.code) == (PANIC.codespace, PANIC.code)


def encodable(events: tuple[Event, ...]) -> tuple[comet.Event, ...]:
    """Events as protobuf has them; searches find each attribute."""
    return tuple(
        comet.Event(event.type, tuple(comet.EventAttribute(key, value, True) for key, value in event.attributes))
        for event in events
    )

"""The messages between the supervisor and the capture writer; `runtime.control.encoding` says how they travel.

Invariant: plain frozen values. BeginCapture comes first and EndCapture last; the writer's last CaptureState has its
warnings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

from emulator.record.capture_files import CaptureRow
from emulator.runtime.control.encoding import ControlMessage


@dataclass(frozen=True, slots=True)
class BeginCapture(ControlMessage):
    """Packets are going to come; the time of day of scenario time 0."""

    t0_utc_ns: int


@dataclass(frozen=True, slots=True)
class NoteAction(ControlMessage):
    """An action was performed on the network at this scenario time."""

    t_s: float
    action: dict[str, Any]


@dataclass(frozen=True, slots=True)
class EndCapture(ControlMessage):
    """The relay has closed its end; it counted so many packets that the pipe had no room for."""

    missed: int


@dataclass(frozen=True, slots=True)
class CaptureState(ControlMessage):
    """What the writer has written so far; at its end with its warnings."""

    row: CaptureRow
    warnings: tuple[str, ...] | None = None


ToWriter = BeginCapture | NoteAction | EndCapture
TO_WRITER: tuple[type[ToWriter], ...] = get_args(ToWriter)

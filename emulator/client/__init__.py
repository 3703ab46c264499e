"""Clients of a run: launching, watching, capturing, running commands. Large libraries are imported on use only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emulator.client.run_handle import RunHandle, launch

__all__ = ["RunHandle", "launch"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from emulator.client import run_handle

        return getattr(run_handle, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Clients of a run: launching, watching, capturing, running commands. Large libraries are imported on use only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emulator.client.launcher import launch
    from emulator.client.run_handle import RunHandle

__all__ = ["RunHandle", "launch"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from emulator.client import launcher

        return getattr(launcher, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

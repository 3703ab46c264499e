"""Processes: the life of a run from its sandbox to its verdict. Importing this package loads nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emulator.runtime.handle import RunHandle, launch

__all__ = ["RunHandle", "launch"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from emulator.runtime import handle

        return getattr(handle, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

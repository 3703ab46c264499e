"""Plug-ins of commands: entry points of a group, which packages bring.

Invariant: a broken plug-in is a PlatformError that names it, and the others still work.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Any


def of_group(group: str) -> dict[str, EntryPoint]:
    """Entry points of the group by name, in the order of names."""
    from importlib.metadata import entry_points

    return {point.name: point for point in sorted(entry_points(group=group), key=lambda point: point.name)}


def loaded(point: EntryPoint, what: str) -> Any:
    """What an entry point offers; `what` it is, for the error. PlatformError where it cannot be loaded."""
    from emulator.model.errors import PlatformError

    try:
        return point.load()
    except Exception as error:
        raise PlatformError(
            f"{what} {point.name} ({point.value}) cannot be loaded: {type(error).__name__}: {error}; "
            "reinstall the package that brings it"
        ) from error

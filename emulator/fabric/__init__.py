"""What the kernel holds of a run: the sandbox, namespaces, interfaces, addresses, routes, and the Mininet door.

Invariant: nothing here has a name on the host or changes a setting of it; when a run's processes end, however they end,
the kernel removes everything that this room made. Names are loaded when they are used, because Mininet is slow to load.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emulator.fabric.build import Fabric, Port
    from emulator.fabric.mininet.convert import network_from

__all__ = ["Fabric", "Port", "network_from"]

_HOMES = {"Fabric": "build", "Port": "build", "network_from": "mininet.convert"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

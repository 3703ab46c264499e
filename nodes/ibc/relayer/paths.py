"""The paths that a scenario asks for: between which chains, and by which version of IBC.

Invariant: a `Path` names two different chains; a channel is asked for exactly in v1.
"""

from __future__ import annotations

from dataclasses import dataclass

from emulator.model.errors import Unfit

_FORM = '"a b" or "a b v2", or "a b v1 PORT", "a b v1 PORT ordered"'


@dataclass(frozen=True, slots=True)
class Path:
    """One path between two chains, by their nodes' names."""

    a: str
    b: str
    port: str = ""  # "": v2
    ordered: bool = False
    version: str = "ics20-1"  # of the channel's application

    @property
    def name(self) -> str:
        return f"{self.a}:{self.b}" + (f":{self.port}" if self.port else "")


def read(text: str) -> Path:
    """A path as a scenario writes it. Unfit where it is none."""
    match text.split():
        case [a, b] | [a, b, "v2"] if a != b:
            return Path(a, b)
        case [a, b, "v1", port] if a != b:
            return Path(a, b, port)
        case [a, b, "v1", port, "ordered"] if a != b:
            return Path(a, b, port, True)
    raise Unfit(f"path {text!r}", _FORM)

"""The live screen: keys in, snapshots in, frames out.

Data goes one way: `source` gives snapshots, `keys` turns bytes into names of keys, `state` turns both into what is
looked at and into requests, `frame` draws a snapshot as a state wants it seen, `terminal` puts the difference between
two frames on the terminal, and `live` is the loop around them. Invariant: only `terminal` writes to the terminal.
"""

from __future__ import annotations

from emulator.observe.source import Seekable, Source
from emulator.ui.terminal.live import LiveScreen

__all__ = ["LiveScreen", "Seekable", "Source"]

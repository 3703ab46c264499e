"""Pictures made of characters: the widgets of protocols, the world map, the contacts Gantt.

Invariant: everything here is a pure function of plain values and of the room there is; a picture never exceeds that
room, whatever the values are.
"""

from __future__ import annotations

from emulator.ui.widgets.chart import sparkline
from emulator.ui.widgets.gantt import gantt
from emulator.ui.widgets.layout import draw, draw_all
from emulator.ui.widgets.lines import Lines
from emulator.ui.widgets.world import world

__all__ = ["Lines", "draw", "draw_all", "gantt", "sparkline", "world"]

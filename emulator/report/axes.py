"""Matplotlib axes that draw everything in the house style. Imports matplotlib: import it inside functions.

Invariant: matplotlib takes the style of a line, a legend or an error bar from settings at the moment it is made; here
these settings hold during each call and no longer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from matplotlib.axes import Axes

from emulator.report.style import style

DRAWING = (
    "annotate", "axhline", "axhspan", "axline", "axvline", "axvspan", "bar", "barh", "boxplot", "errorbar",
    "fill_between", "hist", "hlines", "imshow", "legend", "pcolormesh", "plot", "scatter", "stairs", "stem",
    "step", "text", "vlines",
)  # fmt: skip


class HouseAxes(Axes):
    """Axes whose drawing methods work inside `style()`."""


def _styled(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def drawn(*values: Any, **named: Any) -> Any:
        with style():
            return method(*values, **named)

    return drawn


for _name in DRAWING:
    setattr(HouseAxes, _name, _styled(getattr(Axes, _name)))

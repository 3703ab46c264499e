"""The house style of drawings: its colours, and the settings of matplotlib that hold while something is made."""

from __future__ import annotations

from typing import Any

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Colours that colour-blind readers tell apart: Okabe and Ito 2008, "Color Universal Design", in our order."""
INK, GRID = "#262626", "#d9d9d9"


def style() -> Any:
    """A context in which what is made gets the house style; settings of others stay as they were."""
    from cycler import cycler
    from matplotlib import rc_context

    return rc_context(
        {
            "svg.fonttype": "none",  # text stays text: small, selectable, read aloud
            "svg.hashsalt": "skyloom",
            "font.family": "sans-serif",
            "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "sans-serif"],
            "font.size": 9.5,
            "text.color": INK,
            "figure.facecolor": "white",
            "axes.prop_cycle": cycler(color=PALETTE),
            "axes.edgecolor": INK,
            "axes.labelcolor": INK,
            "axes.linewidth": 0.7,
            "axes.titlesize": 10.5,
            "axes.titlelocation": "left",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.color": GRID,
            "grid.linewidth": 0.6,
            "xtick.color": INK,
            "ytick.color": INK,
            "xtick.major.width": 0.7,
            "ytick.major.width": 0.7,
            "lines.linewidth": 1.6,
            "lines.markersize": 4.5,
            "legend.frameon": False,
            "legend.fontsize": 9.0,
            "errorbar.capsize": 2.5,
        }
    )

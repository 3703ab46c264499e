"""How benchmarks measure again and print: a figure, what it is held against, its target. One line a figure.

SECONDS=5 makes each measurement so long (10 by default), REPEAT=3 makes it three times: then the median and the range
are printed.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from math import inf

SECONDS = float(os.environ.get("SECONDS", "10"))
REPEAT = int(os.environ.get("REPEAT", "1"))


def spread(values: Sequence[float], digits: int = 0) -> str:
    """The median, with the range where there are several."""
    middle = f"{statistics.median(values):,.{digits}f}"
    if len(values) == 1:
        return middle
    return f"{middle} ({min(values):,.{digits}f}-{max(values):,.{digits}f}, {len(values)} x)"


def tell(what: str, measured: str, beside: str = "", target: str = "") -> None:
    """Print a figure at once, for a run of all takes long."""
    more = [f"beside {beside}" if beside else "", f"target {target}" if target else ""]
    print(f"{what}: {measured}" + "".join(f"; {words}" for words in more if words), flush=True)


def shown(rate_bps: float) -> str:
    return "no rate" if rate_bps == inf else f"{rate_bps / 1e6:g} Mbit/s"

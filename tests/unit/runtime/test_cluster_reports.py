"""Reports of hosts that speak of what the network does not have, or in place of numbers of something else."""

from __future__ import annotations

from copy import deepcopy
from math import inf, nan
from typing import Any

import msgpack
import pytest

from emulator.link.engine.structures import LATENESS_BUCKETS
from emulator.link.stats import EndStats
from emulator.model.network import EndSpec, LinkSpec, Network, NodeSpec, PiecewiseSchedule
from emulator.runtime.cluster.reports import COUNTERS, FLAGS, INFINITE, LATE, NUMBERS, Reports
from emulator.runtime.control.encoding import BadMessage

END = EndSpec(schedule=PiecewiseSchedule.constant(delay_s=0.01, rate_bps=1e6))
NODES = (NodeSpec("a", "host", True, "10.0.0.1"), NodeSpec("b", "host", True, "10.0.0.2"))
NETWORK = Network(NODES, (LinkSpec(0, 1, "b", "a", END, END),))
REPORT: dict[str, Any] = {
    "op": "stats", "t_s": 1.0, "ends": {0: [0.0] * len(EndStats)}, "unrouted": {0: 1}, "captures_lost": {0: 1},
    "late": dict.fromkeys(LATE, 0.0), "lateness": {"sum_s": 0.0, "max_s": 0.0, "counts": [(0, 1)]},
    "trunks": {1: {
        **dict.fromkeys(COUNTERS, 0), **dict.fromkeys(INFINITE, -inf), "latency": [(0, 1)], "probes": [(0, 1, 2, 3, 4)],
    }},
    **dict.fromkeys(NUMBERS, 0.0), **dict.fromkeys(FLAGS, False),
}  # fmt: skip


def read(report: dict[str, Any]) -> dict[str, Any]:
    return Reports(NETWORK, 2).read(0, msgpack.packb(report))


def test_a_report_as_relays_give_it_is_read() -> None:
    assert read(REPORT)["trunks"][1]["probes"] == [[0, 1, 2, 3, 4]]


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("t_s",), nan, "in place of a finite number"),
        (("ends",), {2: [0.0] * len(EndStats)}, "link end 2, which does not exist"),
        (("ends",), {0: [0.0]}, "counters of link end 0"),
        (("ends", 0, 3), inf, "in place of a finite number"),
        (("cpu_s",), nan, "in place of a finite number"),
        (("saturated",), 1, "neither yes nor no"),
        (("late", LATE[0]), inf, "in place of a finite number"),
        (("lateness", "max_s"), nan, "in place of a finite number"),
        (("lateness", "counts"), [(LATENESS_BUCKETS, 1)], "bucket"),
        (("lateness", "counts"), [(0, -1)], "-1 in place of a count"),
        (("unrouted",), {2: 1}, "node 2, which does not exist"),
        (("captures_lost",), {0: -1}, "-1 in place of a count"),
        (("trunks",), {}, "trunks to other hosts than there are"),
        (("trunks", 1, COUNTERS[0]), -1, "-1 in place of a count"),
        (("trunks", 1, INFINITE[0]), nan, "a time that is no number"),
        (("trunks", 1, "latency"), [(-1, 1)], "bucket -1, which does not exist"),
        (("trunks", 1, "probes"), [(2, 1, 2, 3, 4)], "host 2, which does not exist"),
        (("trunks", 1, "probes"), [(0, 1, 2, 3)], "a probe without four whole times"),
        (("op",), "anything", "which no relay says"),
    ],
    ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_is_refused_in_words(place: tuple[Any, ...], value: object, said: str) -> None:
    report = deepcopy(REPORT)
    at: Any = report
    for key in place[:-1]:
        at = at[key]
    at[place[-1]] = value
    with pytest.raises(BadMessage, match=said):
        read(report)

"""The lateness budget of a run: what it says of the engine's reports, and which way out it names."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from emulator.link.lateness import Lateness
from emulator.link.stats import EndStats
from emulator.model.network import EndSpec, LinkSpec, Network, NodeSpec, PiecewiseSchedule
from emulator.record import RunFolder
from emulator.record.verdict import Verdict
from emulator.runtime.supervisor.collector import Collector
from emulator.runtime.supervisor.late import budget, why_late

NODES = (NodeSpec("a", "host", True, "10.0.0.1"), NodeSpec("b", "host", True, "10.0.0.2"))
END = EndSpec(schedule=PiecewiseSchedule.constant())
NETWORK = Network(NODES, (LinkSpec("a:up", 0, 1, "up", "up", END, END),))
NOTHING_LATE = {"packets": 0, "engine_s": 0.0, "scheduler_s": 0.0, "capture_s": 0.0}


def scenario(realtime=False, threads=1):
    return SimpleNamespace(fidelity=SimpleNamespace(realtime=realtime), engine=SimpleNamespace(threads=threads))


@pytest.fixture
def collector(tmp_path):
    return Collector(RunFolder.create(tmp_path, "x"), NETWORK)


def report(collector, t_s=10.0, **more):
    """A report of 1,000 packets, ten of them 4 ms late."""
    lateness = Lateness()
    lateness.add(0.0, 990)
    lateness.add(0.004, 10)
    values = [0.0] * len(EndStats)
    values[EndStats.LATE_MAX_S] = 0.004
    collector.relay_report(
        {
            "op": "stats", "t_s": t_s, "ends": {0: values}, "lateness": lateness.pack(), "engine_cpu_s": 1.5,
            "late": {"packets": 10, "engine_s": 0.008, "scheduler_s": 0.03, "capture_s": 0.002},
            "overloaded_s": 0.0, "late_handovers": 0, "realtime": False, **more,
        }
    )  # fmt: skip


def late_verdict(collector, **more):
    return Verdict(
        "x", 1, duration_s=10.0, lateness_ms={"p99": 4.0}, lateness_limit_ms=2.0, lateness_budget=budget(collector)
    )


def test_the_budget_tells_shares_of_causes_and_of_a_core(collector):
    assert budget(collector) == {}
    report(collector, t_s=9.0)
    report(collector)
    found = budget(collector)
    assert {name: round(value, 6) for name, value in found.items()} == {
        "late_packets": 10, "late_share": 0.01, "engine": 0.2, "scheduler": 0.75, "capture": 0.05,
        "engine_cpu_share": 0.15, "overloaded_s": 0.0, "late_handovers": 0, "realtime_share": 0.0,
    }  # fmt: skip
    assert collector.late_by() == "scheduler"


def test_what_was_not_late_has_no_causes(collector):
    report(collector, late=NOTHING_LATE)
    assert not {"engine", "scheduler", "capture"} & budget(collector).keys()
    assert collector.late_by() == ""
    assert Verdict("x", 1, lateness_budget=budget(collector)).figures()["lateness_budget"]["late_packets"] == 0


@pytest.mark.parametrize(
    ("cause", "advice"),
    [
        ("scheduler", "fewer busy programs beside it, or set fidelity.realtime = true"),
        ("engine", "fewer or larger packets, or where cores are free raise engine.threads (it is 1)"),
        ("capture", "fewer link ends, or set a smaller capture.snaplen"),
    ],
)
def test_a_late_run_says_what_made_it_late_where_and_what_helps(collector, cause, advice):
    report(collector, late=NOTHING_LATE | {"packets": 10, f"{cause}_s": 0.04})
    (warning,) = why_late(late_verdict(collector), collector, NETWORK, scenario())
    assert warning.startswith("packets left late, 100% of that by ")
    assert advice in warning
    assert warning.endswith("latest on: a:up 4.0 ms")


def test_an_overload_is_told_with_its_length(collector):
    report(collector, overloaded_s=2.5)
    warnings = why_late(late_verdict(collector), collector, NETWORK, scenario(threads=4))
    assert any("for 2.5 s" in warning and "engine.threads (it is 4)" in warning for warning in warnings)
    assert why_late(Verdict("x", 1), collector, NETWORK, scenario()) == [], "a run that was in time is told nothing"


def test_a_real_time_class_that_was_asked_for_is_accounted_for(collector):
    for number in range(5):
        report(collector, t_s=float(number + 1), realtime=number < 3)
    assert budget(collector)["realtime_share"] == 0.75, "the last report comes when the class has been left"
    (warning,) = why_late(Verdict("x", 1, lateness_budget=budget(collector)), collector, NETWORK, scenario(True))
    assert "held for 75%" in warning


def test_a_real_time_class_that_was_refused_is_told(collector):
    report(collector)
    report(collector, t_s=11.0)
    (warning,) = why_late(Verdict("x", 1, lateness_budget=budget(collector)), collector, NETWORK, scenario(True))
    assert "CAP_SYS_NICE" in warning

"""The verdict: expectations against figures, exit codes, and verdict.json."""

import json
import math
from itertools import product

import pytest

from emulator.record.verdict import Outcome, Verdict
from emulator.record.verdict.exit_codes import exit_code
from emulator.record.verdict.judge import MISSING, conclude, evaluate, lookup, packets_late

FIGURES = {
    "summary": {"handovers": 5, "rtt_ms": {"gs-tokyo → gs.paris": {"p50": 107.5}}, "terminates": True, "win": "blue"},
    "probe_error_ms": {"p50": 0.2, "p99": math.nan},
    "drops": {"queue": 0},
    "flows": [{"mean_bps": 1e6}],
}


@pytest.mark.parametrize(
    ("expectation", "holds", "observed"),
    [
        ({"figure": "summary.handovers", "at_least": 5}, True, 5),
        ({"figure": "summary.handovers", "at_least": 6}, False, 5),
        ({"figure": "summary.handovers", "at_most": 5}, True, 5),
        ({"figure": "summary.handovers", "at_most": 4.9}, False, 5),
        ({"figure": "summary.handovers", "equals": 5}, True, 5),
        ({"figure": "summary.handovers", "equals": 5.0, "at_least": None}, True, 5),
        ({"figure": "summary.handovers", "equals": "5"}, False, 5),
        ({"figure": "summary.terminates", "equals": True}, True, True),
        ({"figure": "summary.terminates", "equals": 1}, False, True),
        ({"figure": "summary.win", "equals": "blue"}, True, "blue"),
        ({"figure": "drops.queue", "equals": 0}, True, 0),
        ({"figure": "summary.rtt_ms.gs-tokyo → gs.paris.p50", "at_most": 110}, True, 107.5),
        ({"figure": "flows.0.mean_bps", "at_least": 1e5}, True, 1e6),
    ],
)
def test_expectations(expectation, holds, observed):
    (outcome,) = evaluate([expectation], FIGURES)
    assert (outcome.holds, outcome.observed, outcome.reason) == (holds, observed, "")


def test_what_was_asked_reads_as_a_sentence():
    assert evaluate([{"figure": "drops.queue", "at_most": 3}], FIGURES)[0].asked == "at most 3"


@pytest.mark.parametrize("figure", ["summary.nothing", "nothing", "summary.handovers.deeper", "flows.1.mean_bps", ""])
def test_missing_figure_does_not_hold_with_a_reason(figure):
    (outcome,) = evaluate([{"figure": figure, "at_most": 3}], FIGURES)
    assert not outcome.holds
    assert outcome.observed is None
    assert outcome.reason == "there is no such figure in this run"


def test_figure_that_is_no_number_does_not_hold_with_a_reason():
    (text, table, flag) = evaluate(
        [{"figure": "summary.win", "at_least": 1}, {"figure": "drops", "at_most": 1},
         {"figure": "summary.terminates", "at_least": 0}],
        FIGURES,
    )  # fmt: skip
    assert [outcome.holds for outcome in (text, table, flag)] == [False] * 3
    assert text.reason == "the figure is not a number but str"
    assert evaluate([{"figure": "probe_error_ms.p99", "at_most": 9}], FIGURES)[0].holds is False  # NaN


@pytest.mark.parametrize("bad", [{}, {"at_least": 1, "at_most": 2}])
def test_expectation_needs_exactly_one_bound(bad):
    with pytest.raises(ValueError, match="exactly one of at_least, at_most, equals"):
        evaluate([{"figure": "drops.queue", **bad}], FIGURES)


def test_lookup_of_nothing():
    assert lookup({}, "a.b") is MISSING
    assert lookup({"a.b": {"c": 1}}, "a.b.c") == 1


@pytest.mark.parametrize(("holds", "late", "interrupted", "broken"), list(product([False, True], repeat=4)))
def test_exit_code_is_the_worst_of_what_happened(holds, late, interrupted, broken):
    code = exit_code(holds=holds, late=late, interrupted=interrupted, broken=broken)
    expected = 70 if broken else 130 if interrupted else 75 if late else 0 if holds else 1
    assert code == expected
    assert (code == 0) == (holds and not late and not interrupted and not broken)
    assert exit_code(holds=holds, late=late, interrupted=interrupted, broken=broken, error_code=69) == (
        69 if broken else expected
    )


def test_verdict_passes_and_is_stable_json():
    verdict = Verdict(scenario="leo", seed=7, run_id="7f3a", drops={"queue": 0}, summary={"handovers": 3})
    verdict.lateness_ms = {"p50": 0.1, "p99": 1.0, "max": 3.0}
    verdict.lateness_limit_ms = 5.0
    conclude(verdict, [{"figure": "summary.handovers", "at_least": 1}, {"figure": "lateness_ms.p99", "at_most": 5}])
    document = json.loads(verdict.to_json())
    assert list(document)[:5] == ["schema_version", "verdict", "exit_code", "scenario", "seed"]
    stable = {
        "schema_version", "verdict", "exit_code", "scenario", "seed", "run_id", "expectations", "lateness_ms",
        "probe_error_ms", "drops", "warnings", "summary",
    }  # fmt: skip
    assert stable <= set(document)
    assert (document["verdict"], document["exit_code"], document["schema_version"]) == ("pass", 0, 1)
    assert document["expectations"][0] == {
        "figure": "summary.handovers", "asked": "at least 1", "observed": 3, "holds": True, "reason": "",
    }  # fmt: skip
    assert Verdict.from_json(verdict.to_json()) == verdict


def test_late_run_is_not_trusted_even_where_expectations_hold():
    verdict = conclude(Verdict(scenario="leo", seed=7, lateness_ms={"p99": 5.1}, lateness_limit_ms=5.0))
    assert (verdict.verdict, verdict.exit_code, packets_late(verdict)) == ("fail", 75, True)


def test_run_without_packets_is_not_late():
    assert conclude(Verdict(scenario="leo", seed=7, lateness_limit_ms=5.0)).exit_code == 0


def test_outcomes_of_the_runtime_count():
    verdict = Verdict(scenario="leo", seed=7)
    verdict.expectations.append(Outcome("program probe on gs-tokyo", "running", "exit 3", False, "ended after 1.2 s"))
    assert conclude(verdict).exit_code == 1


def test_what_json_cannot_hold_becomes_null():
    verdict = conclude(Verdict(scenario="leo", seed=1, summary={"rtt_ms": math.inf, "x": math.nan, "b": b"\x01"}))
    assert json.loads(verdict.to_json())["summary"] == {"rtt_ms": None, "x": None, "b": "01"}


@pytest.mark.parametrize(
    "text",
    ["[]", "{}", '{"schema_version": 2}', '{"schema_version": 1}', "{", '{"schema_version":1,"expectations":[{}]}'],
)
def test_other_json_is_not_a_verdict(text):
    with pytest.raises(ValueError, match="not a verdict"):
        Verdict.from_json(text)

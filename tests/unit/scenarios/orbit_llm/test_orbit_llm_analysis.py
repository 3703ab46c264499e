"""Figures of a run, from the events of one: delays against predictions, bytes against fp16, shares of processors."""

from __future__ import annotations

import json
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

from nodes.pipeline.observed import observe
from nodes.pipeline.planner.plan import Crossing, Plan, Stage
from nodes.pipeline.planner.problem import CodecCost
from scenarios.orbit_llm import analysis
from scenarios.orbit_llm.accuracy import plan_of

STAGES = ["s0 0-10 klt4/fp16", "s1 10-30"]


def events(policies: dict[str, float]) -> list[tuple[float, str, str, str]]:
    """Two chunks of 32 tokens through two stages, by each policy, with the given first tokens."""
    told: list[tuple[float, str, str, dict[str, Any]]] = []
    for number, (policy, first_s) in zip(count(1), policies.items(), strict=False):
        predicted = {"first_token_s": 2.0, "token_s": 0.2, "loss_nats": 0.01}
        told.append((0.0, "s0", "plan", {"plan": policy, "stages": STAGES, "row_bytes": 1152, **predicted}))
        asked = {"plan": policy, "request": number, "prompt_tokens": 64, "stages": ["s0", "s1"]}
        told.append((10.0 * number, "s0", "request", asked))
        for node, leaving in (("s0", 9220), ("s1", 0)):
            for offset in (0, 32):
                at = 10.0 * number + offset / 32 + (node == "s1")
                times = {"received_s": at, "begun_s": at, "encoded_s": at + 0.5}
                chunk = {"request": number, "epoch": 1, "offset": offset, "tokens": 32, "bytes": leaving, **times}
                told.append((at, node, "chunk", chunk))
        answer = {"plan": policy, "text": "Mars", "tokens": 3, "first_token_s": first_s, "total_s": first_s + 0.5}
        told.append((10.0 * number + 5, "s0", "answer", answer | {"epochs": 1}))
    told.append((90.0, "s0", "processor", {"asked": 0.25, "delivered": 0.24, "cpu_s": 1.0}))
    told.append((90.0, "s1", "processor", {"asked": 0.25, "delivered": 0.2, "cpu_s": 1.0}))
    return [(t_s, node, kind, json.dumps(data)) for t_s, node, kind, data in told]


def summary(monkeypatch: pytest.MonkeyPatch, told: list[tuple[float, str, str, str]]) -> dict[str, Any]:
    monkeypatch.setattr(analysis, "observed", lambda run: observe(told))
    return analysis.summarise(SimpleNamespace(parameters={"evaluate": 0}))  # type: ignore[arg-type]


def test_the_plan_is_compared_with_the_first_of_the_others(monkeypatch):
    found = summary(monkeypatch, events({"joint": 2.1, "fp16": 3.0, "sequential": 9.0}))
    assert found["answers"] == 3
    assert (found["delay_ms"], found["baseline"], found["baseline_delay_ms"]) == (2100.0, "fp16", 3000.0)
    assert found["delay_reduction"] == pytest.approx(0.3)
    assert found["joint"]["prediction_error"] == pytest.approx(0.05)
    assert found["prediction_error"] == pytest.approx(3.5)
    assert found["joint"]["token_ms"] == pytest.approx(250)
    assert found["same_text"] is True


def test_bytes_are_compared_with_fp16_at_the_same_cuts(monkeypatch):
    found = summary(monkeypatch, events({"joint": 2.1}))
    assert found["joint"]["sent_bytes"] == 2 * 9220
    assert found["traffic_reduction"] == pytest.approx(1 - 9220 / (4 + 32 * 1152), abs=1e-4)
    assert "baseline" not in found


def test_a_satellite_that_got_too_little_is_seen(monkeypatch):
    found = summary(monkeypatch, events({"joint": 2.1}))
    assert (found["cpu_asked"], found["cpu_delivered_least"], found["cpu_kept"]) == (0.25, 0.2, 0.8)


def test_a_request_that_failed_is_told_and_compared_with_nothing(monkeypatch):
    told = [each for each in events({"joint": 2.1, "fp16": 3.0}) if each[2] != "answer" or "joint" not in each[3]]
    told.append((60.0, "s0", "failed", json.dumps({"plan": "joint", "text": "too few nodes are left"})))
    found = summary(monkeypatch, told)
    assert (found["answers"], found["unanswered"]) == (1, 1)
    assert found["failed"] == {"joint": "too few nodes are left"}
    assert "delay_ms" not in found


def test_a_baseline_without_a_plan_is_not_missed(monkeypatch):
    told = [(0.0, "s0", "no-plan", json.dumps({"plan": "int8", "text": "no plan"})), *events({"joint": 2.1})]
    found = summary(monkeypatch, told)
    assert (found["answers"], found["unanswered"], found["no_plan"]) == (1, 0, {"int8": "no plan"})


def test_a_request_that_is_asked_anew_counts_once(monkeypatch):
    asked = events({"joint": 2.1})
    cut_short = [each for each in asked if each[2] not in ("answer", "processor")]
    assert summary(monkeypatch, [*cut_short, *asked]) == summary(monkeypatch, asked)


def test_a_run_that_told_nothing_has_no_figures(monkeypatch):
    assert summary(monkeypatch, []) == {"answers": 0, "unanswered": 0, "rejected_messages": 0}


def test_crossings_last_from_the_end_of_a_stage_to_the_arrival_at_the_next():
    request = observe(events({"joint": 2.1})).requests["joint"]
    assert list(request.crossings()) == [(0, 10.5, 11.0), (0, 11.5, 12.0)]


def test_the_plan_of_a_run_is_read_from_its_stages():
    codecs = [CodecCost(name, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, (0.0,) * 29) for name in ("fp16", "klt4")]
    measured = SimpleNamespace(codecs=codecs)
    assert plan_of(STAGES, measured) == Plan(
        (Stage(0, 0, 10), Stage(1, 10, 30)), (Crossing(codecs[1], codecs[0]),)
    )  # fmt: skip

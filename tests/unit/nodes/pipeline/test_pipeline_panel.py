"""The panel of a pipeline, from the records of a run: text, stages, queues and plans."""

from __future__ import annotations

from typing import Any

from emulator.sdk.protocol import PanelContext
from nodes.pipeline.panel import MOST_TEXT, PipelinePanel

CONTEXT = PanelContext(("s0", "s1"), {}, {}, (), 60.0)
CHUNK = {"request": 1, "epoch": 1, "offset": 0, "tokens": 32, "queue": 2, "begun_s": 1.0, "encoded_s": 1.5}


def rows(panel: PipelinePanel, t_s: float, title: str) -> list[list[str]]:
    return next(each["rows"] for each in panel.widgets(t_s) if each.get("title") == title)  # type: ignore[misc]


def told() -> PipelinePanel:
    panel = PipelinePanel(CONTEXT)
    records: list[tuple[float, str, dict[str, Any]]] = [
        (0.0, "plan", {"plan": "joint", "first_token_s": 1.25}),
        (0.0, "plan", {"plan": "fp16", "first_token_s": 2.0}),
        (1.0, "request", {"plan": "joint", "stages": ["s0", "s1"]}),
        (1.5, "chunk", CHUNK | {"bytes": 10_000}),
        (2.0, "token", {"plan": "joint", "text": "Mars\n"}),
    ]
    for t_s, kind, data in records:
        panel.event(t_s, "s0", kind, data)
    return panel


def test_before_a_request_it_says_so():
    (widget,) = PipelinePanel(CONTEXT).widgets(0.0)
    assert widget["kind"] == "facts"
    assert "none yet" in widget["rows"][0][1]


def test_stages_have_queues_and_shares_of_time():
    assert rows(told(), 3.0, "Stages of this request") == [
        ["1", "s0", "1", "2", "25%", "10.0"],
        ["2", "s1", "0", "0", "0%", "0.0"],
    ]


def test_plans_have_what_was_predicted_and_what_came():
    panel = told()
    panel.event(2.5, "s0", "answer", {"plan": "joint"})
    assert rows(panel, 3.0, "Plans") == [
        ["joint", "1.00 s", "1.25 s", "1", "answered"],
        ["fp16", "", "2.00 s", "0", ""],
    ]


def test_a_new_request_begins_anew_and_nodes_follow_epochs():
    panel = told()
    panel.event(4.0, "s0", "request", {"plan": "fp16", "stages": ["s0", "s1"]})
    panel.event(4.5, "s0", "epoch", {"plan": "fp16", "nodes": ["s0", "s2"]})
    listing = rows(panel, 5.0, "Stages of this request")
    assert [row[1] for row in listing] == ["s0", "s2"]
    assert [row[2] for row in listing] == ["0", "0"]


def test_a_plan_that_is_asked_anew_forgets_the_text_before():
    panel = told()
    panel.event(4.0, "s0", "request", {"plan": "joint", "stages": ["s0", "s1"]})
    assert rows(panel, 5.0, "Plans")[0] == ["joint", "", "1.25 s", "0", ""]


def test_of_a_long_text_the_end_is_kept_and_nothing_controls_the_terminal():
    panel = told()
    for _ in range(300):
        panel.event(3.0, "s0", "token", {"plan": "joint", "text": "\x1b[31m word"})
    shown = panel.widgets(4.0)[0]
    assert shown["kind"] == "facts"
    text = "".join(row[1] for row in shown["rows"][2:])
    assert len(text) < 2 * MOST_TEXT
    assert "\x1b" not in text

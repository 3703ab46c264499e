"""qlog files of QUIC stacks: whatever form of time they have, it becomes scenario time, or they stay as they are."""

from __future__ import annotations

import json
from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.record import qlog

T0_NS = 1_796_042_902_422_372_600
T0_MS = T0_NS / 1e6


def trace(times_ms, **common):
    return {
        "common_fields": {"ODCID": "15715e00", **common},
        "events": [{"name": "transport:packet_sent", "data": {}, "time": each} for each in times_ms],
        "vantage_point": {"name": "aioquic", "type": "client"},
    }


def written(folder: Path, *traces, name: str = "a.qlog") -> Path:
    path = folder / "nodes" / "gs-dish" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"qlog_format": "JSON", "qlog_version": "0.3", "traces": list(traces)}))
    return path


def test_times_of_day_become_scenario_times(tmp_path):
    path = written(tmp_path, trace([T0_MS + 1500.25, T0_MS + 2000]))
    with pytest.raises(ValueError, match="times of day"):
        qlog.read(path)
    assert qlog.put_on_scenario_time(tmp_path / "nodes", T0_NS) == []
    (found,) = qlog.read(path)
    assert found.vantage == "client"
    assert [event.t_s for event in found.events] == pytest.approx([1.50025, 2.0], abs=2e-6)
    common = json.loads(path.read_text())["traces"][0]["common_fields"]
    assert common == {"ODCID": "15715e00", "time_format": "relative", "reference_time": T0_MS}


@given(st.lists(st.floats(0, 1e7), max_size=20), st.floats(-1e6, 1e6))
def test_all_forms_of_time_mean_the_same(steps_ms, begin_ms):
    moments_ms = [begin_ms + each for each in accumulate(steps_ms)]
    reference_ms = T0_MS + begin_ms
    forms = [
        trace([T0_MS + each for each in moments_ms]),
        trace([T0_MS + each for each in moments_ms], time_format="absolute", reference_time=5),
        trace([each - begin_ms for each in moments_ms], time_format="relative", reference_time=reference_ms),
        trace(steps_ms, time_format="delta", reference_time=reference_ms),
    ]
    for form in forms:
        qlog.shift(form, T0_MS)
        assert [event["time"] for event in form["events"]] == pytest.approx(moments_ms, abs=0.01)
        qlog.shift(form, T0_MS)  # a second time changes nothing
        assert [event["time"] for event in form["events"]] == pytest.approx(moments_ms, abs=0.01)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no JSON"),
        ('{"traces": [', "no JSON"),
        ("[" * 100_000, "nested too deep"),
        ("[]", "no `traces`"),
        ('{"traces": [7]}', "without `events`"),
        ('{"traces": [{"events": [{"time": "noon"}]}]}', "without `events`"),
        (f'{{"traces": [{{"events": [{{"time": 1{"0" * 400}}}]}}]}}', "without `events`"),
        ('{"traces": [{"events": [{"time": NaN}]}]}', "without `events`"),
        ('{"traces": [{"events": [], "common_fields": 3}]}', "no object"),
        ('{"traces": [{"events": [], "vantage_point": "client"}]}', "no object"),
        ('{"traces": [{"events": [], "common_fields": {"time_format": "relative_to_epoch"}}]}', "`time_format`"),
        ('{"traces": [{"events": [], "common_fields": {"reference_time": {}}}]}', "`reference_time`"),
    ],
)
def test_what_cannot_be_read_is_told_and_stays(tmp_path, text, why):
    path = written(tmp_path, name="bad.qlog")
    path.write_text(text)
    good = written(tmp_path, trace([T0_MS]), name="good.qlog")
    (problem,) = qlog.put_on_scenario_time(tmp_path / "nodes", T0_NS)
    assert problem.startswith("nodes/gs-dish/bad.qlog keeps its times: ")
    assert why in problem
    assert path.read_text() == text
    with pytest.raises(ValueError, match="; expected a"):
        qlog.read(path)
    assert qlog.read(good)[0].events[0].t_s == 0.0


def test_links_of_programs_lead_nowhere(tmp_path):
    outside = tmp_path / "outside.qlog"
    outside.write_text(json.dumps({"traces": [trace([T0_MS])]}))
    before = outside.read_text()
    folder = tmp_path / "nodes" / "v0"
    folder.mkdir(parents=True)
    (folder / "link.qlog").symlink_to(outside)
    (tmp_path / "nodes" / "v1").symlink_to(tmp_path)
    assert qlog.put_on_scenario_time(tmp_path / "nodes", T0_NS) == []
    assert outside.read_text() == before
    assert qlog.put_on_scenario_time(tmp_path / "missing", T0_NS) == []

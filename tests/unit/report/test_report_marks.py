"""Faults and handovers behind plots: begin and end of each fault, and that plots over time get them by themselves."""

from types import SimpleNamespace

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.report import drawing, fault_spans
from emulator.report.fault_spans import Fault, faults


def spans(*actions, until=60.0):
    return [(one.start_s, one.end_s, one.label) for one in faults(actions, until)]


@pytest.mark.parametrize(
    ("do", "undo"),
    [("crash", "restart"), ("hold", "release"), ("link-down", "link-up")],
)
def test_a_fault_lasts_until_it_is_undone(do, undo):
    key = "links" if do == "link-down" else "nodes"
    found = spans((5.0, {"do": do, key: ["a"]}), (8.0, {"do": do, key: ["b"]}), (9.0, {"do": undo, key: ["a"]}))
    assert found == [(5.0, 9.0, f"{do} a"), (8.0, 60.0, f"{do} b")]


def test_globs_and_nothing_named_undo_all():
    assert spans((1.0, {"do": "crash", "nodes": ["v1"]}), (2.0, {"do": "restart", "nodes": ["v*"]}))[0][1] == 2.0
    assert spans((1.0, {"do": "crash", "nodes": ["v1"]}), (2.0, {"do": "restart"}))[0][1] == 2.0
    assert spans((1.0, {"do": "crash", "nodes": ["v1", "w"]}), (2.0, {"do": "restart", "nodes": ["v*"]}))[0][1] == 60.0


def test_a_partition_ends_by_healing_or_by_another_one():
    found = spans(
        (1.0, {"do": "partition", "groups": [["a"], ["b", "c"]]}),
        (4.0, {"do": "partition", "groups": [["a", "b"], ["c"]]}),
        (6.0, {"do": "heal"}),
    )
    assert found == [(1.0, 4.0, "partition a | b,c"), (4.0, 6.0, "partition a,b | c")]


def test_values_last_until_they_are_given_back():
    found = spans(
        (1.0, {"do": "set", "links": ["a:x"], "loss": 0.1}),
        (3.0, {"do": "set", "links": ["a:x"], "rate_bps": 1e6}),
        (5.0, {"do": "set", "links": ["a:*"], "loss": None}),
    )
    assert found == [(1.0, 5.0, "set a:x loss 10 %"), (3.0, 60.0, "set a:x 1.00 Mbit/s")]


def test_exec_is_a_moment():
    assert spans((3.0, {"do": "exec", "nodes": ["a"], "command": ["true"]})) == [(3.0, 3.0, "exec a")]


VERBS = [
    "crash",
    "restart",
    "hold",
    "release",
    "partition",
    "heal",
    "link-down",
    "link-up",
    "set",
    "exec",
    "other",
    None,
]
ACTIONS = st.fixed_dictionaries(
    {"do": st.sampled_from(VERBS)},
    optional={
        "nodes": st.lists(st.sampled_from(["a", "b", "*"])), "links": st.lists(st.sampled_from(["a:x", "b:*"])),
        "groups": st.lists(st.lists(st.sampled_from("abc"))), "loss": st.none() | st.floats(0, 1), "up": st.booleans(),
    },
)  # fmt: skip


@given(st.lists(st.tuples(st.floats(0, 50), ACTIONS)).map(lambda found: sorted(found, key=lambda one: one[0])))
def test_any_actions_give_spans_inside_the_run(actions):
    for one in faults(actions, 60.0):
        assert 0 <= one.start_s <= one.end_s <= 60
        assert one.label


@given(st.lists(st.floats(0, 100)).map(sorted), st.floats(0.1, 100))
def test_thinned_handovers_are_some_of_them(moments, width_s):
    kept = fault_spans.thinned(moments, width_s)
    assert len(kept) <= fault_spans.MOST_LINES
    assert set(kept) <= set(moments)
    assert bool(kept) == bool(moments)


@pytest.fixture
def run():
    events = [(5.0, "action", '{"do":"crash","nodes":["v3"]}'), (8.0, "action", '{"do":"restart","nodes":["v3"]}'),
              (6.0, "handover", "{}")]  # fmt: skip
    table = pl.DataFrame(events, schema=["t_s", "kind", "data"], orient="row").sort("t_s")
    return SimpleNamespace(events=table, own_events=table, links=pl.DataFrame({"t_s": [10.0]}), verdict=None)


def test_only_plots_over_time_are_marked_and_keep_their_limits(run):
    figure, (times, other) = drawing.panels(2)
    drawing.over_time(times).plot([0, 20], [1, 2])
    other.plot([0, 20], [1, 2])
    other.set_xlabel("round")
    before = times.get_xlim(), times.get_ylim()
    said = drawing.mark_figure(figure, run)
    assert said == "Shaded: crash v3 5.0 to 8.0 s. Thin lines: handovers (1)."
    assert (times.get_xlim(), times.get_ylim()) == before
    assert len(times.patches) == 1
    assert len(times.lines) == 2  # what was drawn, and the handover
    assert not other.patches
    assert len(other.lines) == 1


def test_axes_that_share_their_time_are_marked_by_one_call(run):
    from matplotlib.figure import Figure

    upper, lower = Figure().subplots(2, 1, sharex=True)
    upper.plot([0, 20], [1, 2])
    drawing.over_time(lower)
    assert drawing.is_over_time(upper)
    drawing.mark_times(upper, run)
    assert len(upper.patches) == 1


def test_what_lies_outside_the_plot_is_not_spoken_of(run):
    figure, axes = drawing.new()
    drawing.over_time(axes).set_xlim(8.5, 9.5)
    assert drawing.mark_figure(figure, run) == ""


def test_many_faults_are_counted_in_the_caption():
    many = [Fault(float(at), at + 0.5, "hold", f"n{at}") for at in range(12)]
    assert "; 4 more." in fault_spans.words(many, [], (0.0, 20.0))

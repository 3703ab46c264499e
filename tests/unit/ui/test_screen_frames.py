"""Frames of the live screen: golden pictures of fixed snapshots in every panel and state, and what holds for all."""

from dataclasses import replace

import pytest
from fixed_snapshots import build, check_golden, console, full, play
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from emulator.observe.snapshot import PHASES
from emulator.report import text
from emulator.ui.terminal import overview
from emulator.ui.terminal.frame import frame
from emulator.ui.terminal.state import PANELS, State, press

TOOK_S = {"schedule": 0.42, "build": 0.94, "start": 0.5}
PLAYING = State(phase="play", phase_began_s=2.5, took_s=TOOK_S)
BUILDING = State(phase="build", phase_began_s=0.42, took_s={"schedule": 0.42})


def drawn(snapshot, width, height, state=PLAYING, signs=text.UNICODE, **options):
    paper = console(width, height, **options)
    paper.print(frame(snapshot, state, width, height, signs), end="")
    return paper.file.getvalue()


def after(keys, snapshot, state=PLAYING):
    for key in keys:
        state, _ = press(state, key, snapshot)
    return state


STATES = {
    **{panel: ([str(number)], full()) for number, panel in enumerate(PANELS, 1)},
    "second-protocol": (["4", "4"], full()),
    "filter": (["3", "/", "p", "a", "r"], full()),
    "sorted": (["2", "s", "s", "s", "down", "down"], full()),
    "detail": (["3", "enter"], full()),
    "fault": (["3", "f", "down", "down"], full()),
    "fault-node": (["2", "down", "f"], full()),
    "asked": (["3", "f", "enter"], full()),
    "help": (["3", "?"], full()),
    "frozen": (["3", " "], full()),
    "stop": (["Q"], full()),
    "warning": ([], full(warnings=["one", "recording of events stopped: No space left on device"])),
    "empty-panels": (["6"], play()),
}


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40)])
@pytest.mark.parametrize("name", STATES)
def test_golden_frames(name, width, height):
    keys, snapshot = STATES[name]
    check_golden(f"screen-{name}-{width}x{height}.txt", drawn(snapshot, width, height, after(keys, snapshot)))


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40)])
def test_golden_frames_of_building_and_analysis(width, height):
    check_golden(
        f"screen-build-{width}x{height}.txt", drawn(build(folder="runs/leo/x-7f3a2c"), width, height, BUILDING)
    )
    ending = full(60.0, phase="analysis", done=3, total=5, label="links.parquet")
    state = State(phase="analysis", phase_began_s=62.0, took_s=TOOK_S | {"play": 60.0})
    check_golden(f"screen-analysis-{width}x{height}.txt", drawn(ending, width, height, state))


def test_golden_frame_of_a_large_screen_uses_its_room():
    check_golden("screen-overview-200x60.txt", drawn(full(), 200, 60))


@pytest.mark.parametrize(("width", "height"), [(80, 40), (120, 40)])
def test_golden_frames_of_a_run_on_several_hosts(width, height):
    late = {"p50": 0.1, "p99": 1.25, "max": 4.5}
    machines = [
        {
            "name": f"host {host}",
            "nodes": 500 + host,
            "lateness_ms": late,
            "late_rows": host,
            "memory_bytes": 88_000_000,
        }
        for host in (1, 0)
    ]
    trunks = [
        {"pair": pair, "packets": 20_668, "late": 0, "lost": host, "latency_p99_ms": 0.79}
        for host, pair in enumerate(("host 0 → host 1", "host 1 → host 0"))
    ]
    shown = full(machines=machines, trunks=trunks)
    check_golden(f"screen-hosts-{width}x{height}.txt", drawn(shown, width, height))
    nodes = [{**row, "host": f"host {number % 2}"} for number, row in enumerate(shown["node_rows"])]
    for row in nodes:
        del row["cpu"], row["memory_bytes"]
    shown = drawn({**shown, "node_rows": nodes}, width, height, replace(PLAYING, panel="nodes"))
    check_golden(f"screen-nodes-hosts-{width}x{height}.txt", shown)


def test_golden_frame_of_a_finished_run_says_how_to_move_in_time():
    shown = drawn(full(phase="done"), 120, 40, replace(PLAYING, finished=True))
    check_golden("screen-finished-120x40.txt", shown)
    assert "detach" not in shown


@settings(max_examples=50)
@given(
    st.integers(1, 210),
    st.integers(1, 64),
    st.sampled_from([*PHASES, "done"]),
    st.lists(st.sampled_from([*"1234567", "down", "enter", "f", "/", "x", "?", " ", "Q", "s", "esc"]), max_size=5),
    st.integers(0, 80),
    st.integers(0, 5),
    st.booleans(),
)
def test_frame_has_exactly_the_size_of_the_terminal(width, height, phase, keys, probes, warned, finished):
    snapshot = full(phase=phase, warnings=["a warning that is longer than the line " * 4] * warned)
    snapshot["probes"] = (snapshot["probes"] * 7)[:probes]
    shown = frame(snapshot, after(keys, snapshot, replace(PLAYING, finished=finished)), width, height)
    assert len(shown.lines) == height
    assert all(sum(cell_len(piece.text) for piece in pieces) <= width for pieces in shown.lines)


@pytest.mark.parametrize("panel", PANELS)
@pytest.mark.parametrize(
    "snapshot",
    [
        {},
        {"phase": "play"},
        {"phase": "done"},
        {"phase": "play", "probes": [{}], "flows": [{}], "links": [{}], "node_rows": [{}], "events": [{}]},
        {"phase": "play", "contacts": [{}], "map": {}, "panels": [{"protocol": "p", "title": "t", "widgets": []}]},
    ],
)
def test_every_key_may_be_absent(panel, snapshot):
    assert "skyloom" in drawn(snapshot, 80, 24, State(panel=panel))
    assert "skyloom" in drawn(snapshot, 200, 60, State(panel=panel, detail="gs-tokyo"))


def test_row_without_values_shows_dashes_and_not_zeros():
    lines = drawn({"phase": "play", "probes": [{"pair": "a → b"}]}, 80, 24, State()).split("\n")
    assert next(line for line in lines if "a → b" in line).split() == ["a", "→", "b", "-", "-", "-", "0/0"]


@pytest.mark.parametrize("panel", ["overview", "events", "links"])
def test_what_programs_say_cannot_steer_the_terminal(panel):
    snapshot = full()
    snapshot["events"] = [{"t_s": 1.0, "node": "a\x1b[2J", "kind": "x\ny", "text": "[bold]z\x07"}]
    snapshot["links"][0]["end"] = "gs\x9b2J:up"
    snapshot["warnings"] = ["[red]\x1b]0;title\x07"]
    shown = drawn(snapshot, 120, 40, State(panel=panel))
    assert "\x1b" not in shown
    assert "\x9b" not in shown
    assert "\x07" not in shown
    assert "[bold]z" in shown
    assert shown.count("\n") == 40


def test_state_is_said_by_a_sign_and_a_word_without_colour():
    def head(snapshot, signs=text.UNICODE):
        return drawn(snapshot, 80, 24, signs=signs).split("\n")[0].split()[-2:]

    assert head(full()) == ["✓", "ok"]
    assert head(full(warnings=["x"])) == ["▲", "warned"]
    assert head(full(lateness_limit_ms=0.5)) == ["✗", "late"]
    assert head(full(lateness_limit_ms=0.5), text.ASCII) == ["x", "late"]
    assert "(scheduler)" in drawn(full(lateness_limit_ms=0.5, late_by="scheduler"), 120, 40)
    assert "(scheduler)" not in drawn(full(lateness_limit_ms=5.0, late_by="scheduler"), 120, 40)


def test_first_screen_says_how_to_leave_and_where_the_results_are():
    for shown in (drawn(full(), 80, 24), drawn(build(folder="runs/leo/x"), 80, 24, BUILDING)):
        assert shown.rstrip().split("\n")[-1].startswith("? help  q detach  Q stop  1-7 panels")
        assert "folder runs/leo/" in shown


def test_an_action_shows_beside_the_keys_for_a_few_seconds():
    assert "action hold" in drawn(full(), 120, 40, State(panel="map")).rstrip().split("\n")[-1]
    late = full()
    late["events"][-1]["t_s"] = 2.0
    assert "action hold" not in drawn(late, 120, 40, State(panel="map")).rstrip().split("\n")[-1]


def test_tables_scroll_with_the_selected_row():
    snapshot = full()
    snapshot["node_rows"] = [{"node": f"n{number:02}"} for number in range(60)]
    shown = drawn(snapshot, 80, 24, after(["2", "end"], snapshot))
    assert "n59" in shown
    assert "n00" not in shown
    assert "-60 of 12" in shown


parts = st.lists(
    st.builds(overview.Part, st.integers(0, 7), st.integers(2, 7), st.integers(2, 40), st.none()), max_size=7
)


@given(parts, st.integers(0, 70))
def test_rows_are_shared_out_and_never_more_than_there_are(found, rows):
    granted = overview.grant(found, rows)
    assert sum(granted) <= rows
    assert all(
        count == 0 or min(part.least, part.preferred) <= count <= part.preferred
        for count, part in zip(granted, found, strict=True)
    )
    if sum(part.preferred for part in found) <= rows:
        assert granted == [part.preferred for part in found]


@pytest.mark.parametrize(("panel", "none"), [("contacts", "no links that move"), ("map", "no places on the Earth")])
def test_what_the_run_has_not_been_asked_for_yet_is_waited_for(panel, none):
    state = replace(PLAYING, panel=panel)
    before = {**play(), "view": {"panel": "nodes", "rows": 20}}
    answered = {**play(), "view": {"panel": panel, "rows": 20}}
    assert "waiting for the run to answer" in drawn(before, 80, 24, state)
    assert none in drawn(answered, 80, 24, state)

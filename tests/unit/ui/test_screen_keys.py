"""Keys: bytes of a terminal to names, and names to states and requests."""

from dataclasses import replace

import pytest
from fixed_snapshots import build, full
from hypothesis import given
from hypothesis import strategies as st

from emulator.ui.terminal.faults import choices
from emulator.ui.terminal.keymap import footer, keys_of
from emulator.ui.terminal.keys import Keys
from emulator.ui.terminal.state import PANELS, SORTS, Fault, Leave, Seek, State, Stop, press, rows_of, target

SEQUENCES = {
    b"\x1b[A": ["up"], b"\x1bOB": ["down"], b"\x1b[C": ["right"], b"\x1b[D": ["left"], b"\x1b[5~": ["pgup"],
    b"\x1b[6~": ["pgdn"], b"\x1b[H": ["home"], b"\x1b[4~": ["end"], b"\x1bOF": ["end"], b"\x1b[1;5C": ["right"],
    b"\x1b[3~": [], b"\x1b[200~": [], b"\x1bq": [], b"\r": ["enter"], b"\n": ["enter"], b"\x7f": ["backspace"],
    b"\t": ["tab"], b"q": ["q"], b"?": ["?"], " /é→".encode(): [" ", "/", "é", "→"], b"\x00\x01\xff": [],
}  # fmt: skip
KEYS = [*"1234567qQ?/sSfy n*", "up", "down", "left", "right", "pgup", "pgdn", "home", "end", "enter", "esc", "tab",
        "backspace", "clear", "é"]  # fmt: skip


def after(keys, snapshot=None, state=None):
    """The last state, and all requests."""
    state, asked = state or State(phase="play"), []
    for key in keys:
        state, requests = press(state, key, snapshot or full())
        asked += requests
    return state, asked


@pytest.mark.parametrize(("data", "names"), SEQUENCES.items())
def test_sequences_of_terminals(data, names):
    assert Keys().feed(data) == names


@given(st.lists(st.sampled_from(sorted(SEQUENCES))), st.data())
def test_a_sequence_cut_anywhere_gives_what_it_gives_whole(pieces, data):
    whole = b"".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    keys, found = Keys(), []
    for start, stop in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        found += keys.feed(whole[start:stop])
    assert found == [name for piece in pieces for name in SEQUENCES[piece]]


@given(st.lists(st.binary(max_size=40)))
def test_any_bytes_give_names_and_never_an_error(pieces):
    keys = Keys()
    names = [name for piece in pieces for name in keys.feed(piece)] + keys.flush()
    assert all((len(name) == 1 and name.isprintable()) or name.isalpha() for name in names)
    assert not keys.pending


def test_an_escape_stands_for_itself_when_nothing_follows():
    keys = Keys()
    assert keys.feed(b"\x1b") == []
    assert keys.pending
    assert keys.flush() == ["esc"]
    assert keys.feed(b"\x1b\x1b[A") == ["esc", "up"]
    assert keys.feed(b"\x1b[") == []
    assert keys.flush() == []
    assert keys.feed(b"q") == ["q"]


@given(st.lists(st.sampled_from(KEYS), max_size=30), st.booleans(), st.sampled_from([full(), build(), {}]))
def test_no_keys_ever_raise_and_what_is_asked_makes_sense(keys, finished, snapshot):
    state = State(finished=finished)
    for key in keys:
        before = state
        state, requests = press(state, key, snapshot)
        assert state.panel in PANELS
        assert set(state.view()) <= {"panel", "filter", "sort", "rows", "detail"}
        assert keys_of(state)
        assert footer(state)
        for request in requests:
            assert isinstance(request, Seek | Leave) if finished else not isinstance(request, Seek)
            if isinstance(request, Stop):
                assert before.mode == "stop"
            if isinstance(request, Fault):
                assert before.mode == "fault"


def test_digits_and_tab_choose_panels():
    for number, panel in enumerate(PANELS, 1):
        assert after([str(number)])[0].panel == panel
    assert after(["7", "tab"])[0].panel == "overview"


def test_the_same_digit_again_goes_to_the_next_protocol_and_round():
    assert [after(["4"] * count)[0].protocol for count in (1, 2, 3)] == [0, 1, 0]
    assert after(["4", "left"])[0].protocol == 1


def test_filter_is_typed_live_kept_by_enter_and_cleared_by_escape():
    state, _ = after(["3", "/", "p", "x", "backspace", "a", "r"])
    assert state.view()["filter"] == "par"
    assert [row["end"] for row in rows_of(state, full())] == ["gs-paris:up"]
    assert after(["enter", "q"], state=state)[1] == [Leave()]
    assert after(["esc"], state=state)[0].filter == ""
    assert after(["enter", "esc"], state=state)[0].filter == ""
    assert after(["q", "Q", "f"], state=state)[0].filter == "parqQf"


def test_each_panel_has_a_filter_of_its_own_or_none():
    state, _ = after(["3", "/", "n", "2", "enter", "2"])
    assert "filter" not in state.view()
    assert after(["3"], state=state)[0].view()["filter"] == "n2"
    for panel in ("1", "4", "6"):
        assert after([panel, "/"])[0].mode == "look"


def test_sorting_goes_through_the_columns_and_back_to_the_panels_own_order():
    seen = [after(["2"] + ["s"] * count)[0].sort for count in range(len(SORTS["nodes"]) + 2)]
    assert seen == ["", *SORTS["nodes"], ""]
    state, _ = after(["2", "s", "s", "s"])
    assert state.view()["sort"] == "-cpu"
    assert rows_of(state, full())[0]["node"] == "gs-boston"
    state, _ = after(["S"], state=state)
    assert state.view()["sort"] == "cpu"
    assert rows_of(state, full())[0]["node"] == "gs-tokyo"
    assert "sort" not in after(["3"], state=state)[0].view()


def test_selection_follows_the_name_when_rows_move():
    state, _ = after(["2", "down", "down"])
    assert target(state, full()) == ("node", "gs-sydney")
    moved = full()
    moved["node_rows"].reverse()
    assert target(state, moved) == ("node", "gs-sydney")
    moved["node_rows"] = []
    assert target(state, moved) is None


def test_detail_and_back():
    state, _ = after(["3", "down", "enter"])
    assert state.view()["detail"] == "gs-paris:up"
    assert "detail" not in after(["esc"], state=state)[0].view()
    assert "detail" not in after(["2"], state=state)[0].view()


def test_a_fault_hits_what_the_list_was_opened_on():
    state, _ = after(["3", "f", "down"])
    moved = full()
    moved["links"].reverse()
    state, asked = after(["enter"], moved, state)
    assert asked == [Fault({"do": "link-up", "links": ["gs-tokyo:up"]})]
    assert "gs-tokyo:up" in state.status
    assert after(["3", "f", "up", "enter"])[1] == [
        Fault({"do": "set", "links": ["gs-tokyo:up"], "loss": None, "delay_s": None, "rate_bps": None})
    ]
    assert after(["3", "f", "esc", "enter"])[1] == []
    assert after(["2", "f", "enter"])[1] == [Fault({"do": "crash", "nodes": ["gs-tokyo"]})]
    assert after(["3", "enter", "f", "enter"])[1] == [Fault({"do": "link-down", "links": ["gs-tokyo:up"]})]


def test_faults_need_a_target_and_a_run_that_plays():
    assert "choose a node" in after(["f"])[0].status
    assert "faults are for play" in after(["2", "f"], {**full(), "phase": "start"})[0].status
    assert "has ended" in after(["2", "f"], state=State(finished=True))[0].status


def test_every_offered_fault_is_an_action_of_the_director():
    from emulator.model.verbs import VERBS

    for kind, name in (("node", "n"), ("link", "n:p")):
        assert {choice.action["do"] for choice in choices(kind, name)} <= set(VERBS)


def test_stop_asks_once_and_detach_does_not():
    assert after(["Q"])[1] == []
    assert after(["Q", "n"])[1] == []
    assert after(["Q", "y"])[1] == [Stop()]
    assert after(["q"])[1] == [Leave()]


def test_a_finished_run_has_a_time_cursor_and_nothing_to_stop():
    state = State(finished=True)
    assert after(["left", "right", "pgup", "pgdn", "home", "end"], state=state)[1] == [
        Seek(delta_s) for delta_s in (-1.0, 1.0, -10.0, 10.0, float("-inf"), float("inf"))
    ]
    assert after(["Q"], state=state)[1] == [Leave()]


def test_space_freezes_and_goes_on():
    state, _ = after([" "])
    assert state.frozen
    assert not after([" "], state=state)[0].frozen


def test_events_scroll_back_and_forth():
    state, _ = after(["7", "up", "up", "up", "down"])
    assert state.scroll == 2
    assert after(["end"], state=state)[0].scroll == 0
    assert after(["home"], state=state)[0].scroll == 12


def test_phases_are_timed_by_the_snapshots():
    state = State()
    for phase, elapsed_s in (("schedule", 0.0), ("schedule", 0.3), ("build", 0.5), ("start", 1.5), ("play", 2.0)):
        state = state.observe({"phase": phase, "elapsed_s": elapsed_s})
    assert state.took_s == {"schedule": 0.5, "build": 1.0, "start": 0.5}
    assert state.spent_s({"phase": "play", "elapsed_s": 5.0})["play"] == 3.0


def test_any_key_leaves_the_help():
    state = replace(State(), mode="help")
    assert after(["q"], state=state) == (State(), [])

"""The live screen: golden frames of fixed snapshots, frame rate, heartbeats."""

import io
import subprocess
import sys
import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from show_snapshots import build, check_golden, console, play

from emulator.record.snapshot import PHASES
from emulator.show import LiveScreen, panels, text

TOOK_S = {"schedule": 0.42, "build": 0.94, "start": 0.5}


def frame(snapshot, width, height, took_s=TOOK_S, signs=text.UNICODE, **options):
    drawn = console(width, height, **options)
    drawn.print(panels.screen(snapshot, width, height, signs, took_s), end="")
    return drawn.file.getvalue()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40)])
@pytest.mark.parametrize(
    ("name", "snapshot", "took_s"),
    [
        ("build", build(), {"schedule": 0.42, "build": 0.34}),
        ("play", play(), TOOK_S),
        ("warning", play(warnings=["one", "recording of events stopped: No space left on device"]), TOOK_S),
        ("analysis", play(60.0, phase="analysis", done=3, total=5, label="links.parquet"), TOOK_S | {"play": 60.0}),
    ],
)
def test_golden_frames(name, snapshot, took_s, width, height):
    check_golden(f"{name}-{width}x{height}.txt", frame(snapshot, width, height, took_s))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(40, 160),
    st.integers(10, 60),
    st.sampled_from([*PHASES, "done"]),
    st.integers(0, 80),
    st.integers(0, 12),
    st.integers(0, 5),
)
def test_frame_never_exceeds_the_terminal(width, height, phase, probes, links, warned):
    snapshot = play(phase=phase, warnings=["a warning that is longer than the line " * 4] * warned)
    snapshot["probes"] = (snapshot["probes"] * 7)[:probes]
    snapshot["links"] = (snapshot["links"] * 3)[:links]
    lines = frame(snapshot, width, height).removesuffix("\n").split("\n")
    assert len(lines) <= height
    assert max(cell_len(line) for line in lines) <= width


@pytest.mark.parametrize("snapshot", [{}, {"phase": "play"}, {"phase": "done"}, {"probes": [{}], "flows": [{}]}])
def test_every_key_may_be_absent(snapshot):
    assert "skyloom" in frame(snapshot, 80, 24)


def test_row_without_values_shows_dashes_and_not_zeros():
    lines = frame({"phase": "play", "probes": [{"pair": "a → b"}]}, 80, 24).split("\n")
    assert next(line for line in lines if "a → b" in line).split() == ["a", "→", "b", "-", "-", "-", "0/0"]


def test_markup_in_names_is_text():
    snapshot = {
        "phase": "play",
        "probes": [{"pair": "[bold]x[/]"}],
        "warnings": ["[red]w"],
        "events": [{"kind": "[k]"}],
    }
    drawn = frame(snapshot, 80, 24)
    assert "[bold]x[/]" in drawn
    assert "[red]w" in drawn
    assert "[k]" in drawn


def test_state_is_said_by_a_sign_without_colour():
    assert "✓" in frame(play(), 80, 24).split("\n")[0]
    assert "▲" in frame(play(warnings=["x"]), 80, 24).split("\n")[0]
    assert "!" in frame(play(warnings=["x"]), 80, 24, signs=text.ASCII).split("\n")[0]


def test_no_color_is_respected():
    coloured = frame(play(warnings=["x"]), 80, 24, color_system="standard")
    plain = frame(play(warnings=["x"]), 80, 24, color_system="standard", no_color=True)
    assert "\x1b[33m" in coloured
    assert "\x1b[33m" not in plain
    assert not any(f"\x1b[{code}m" in plain for code in range(30, 38))


def test_at_most_four_frames_a_second():
    drawn = console(80, 24)
    with LiveScreen(console=drawn) as screen:
        entered = drawn.file.tell()
        for number in range(21):
            screen.update(play(10 + number * 0.05))
        assert drawn.file.getvalue()[entered:].count("late p99") == 5
    assert "\x1b[?1049l" in drawn.file.getvalue()  # the terminal is as it was
    assert "\x1b[?25h" in drawn.file.getvalue()


def test_terminal_is_restored_when_the_run_breaks():
    drawn = console(80, 24)

    def broken():
        with LiveScreen(console=drawn) as screen:
            screen.update(play())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken()
    assert drawn.file.getvalue().count("\x1b[?1049l") == 1


def test_without_a_terminal_one_line_per_phase_and_five_seconds():
    plain = console(80, 24, force_terminal=False)
    with LiveScreen(console=plain, scenario="leo") as screen:
        screen.update(build(done=0, elapsed_s=0.2))
        screen.update(build(elapsed_s=0.9))
        for number in range(45):
            screen.update(play(number * 0.25))
        screen.update({"phase": "analysis", "elapsed_s": 14.0, "warnings": ["w1"]})
        screen.update({"phase": "analysis", "elapsed_s": 14.2, "warnings": ["w1", "w2"]})
    assert plain.file.getvalue().splitlines() == [
        "   0.2 s  leo build 0/1,584  ports",
        "   2.5 s  leo play 00:00/01:00  late p99 0.81 ms  probes 12 pairs, error median 0.81 ms, lost 1"
        "  flows 3, 137 Mbit/s  handovers 13  drops 120",
        "   7.5 s  leo play 00:05/01:00  late p99 0.81 ms  probes 12 pairs, error median 0.81 ms, lost 1"
        "  flows 3, 137 Mbit/s  handovers 13  drops 120",
        "  12.5 s  leo play 00:10/01:00  late p99 0.81 ms  probes 12 pairs, error median 0.81 ms, lost 1"
        "  flows 3, 137 Mbit/s  handovers 13  drops 120",
        "▲ warning: w1",
        "  14.0 s  leo analysis",
        "▲ warning: w2",
    ]


def test_screen_can_be_switched_off_on_a_terminal():
    drawn = console(80, 24)
    with LiveScreen(enabled=False, console=drawn) as screen:
        screen.update(play())
    assert drawn.file.getvalue().count("\n") == 1


def test_dumb_terminal_gets_lines():
    drawn = console(80, 24, _environ={"TERM": "dumb"})
    with LiveScreen(console=drawn) as screen:
        screen.update(play())
    assert "\x1b" not in drawn.file.getvalue()


def test_ascii_output_never_fails():
    raw = io.BytesIO()
    plain = Console(file=io.TextIOWrapper(raw, encoding="ascii"), width=80, force_terminal=False)
    with LiveScreen(console=plain) as screen:
        screen.update(play(warnings=["gs-tokyo → gs-paris"]))
    plain.file.flush()
    assert raw.getvalue().startswith(b"! warning: gs-tokyo ? gs-paris\n")


def test_reader_that_goes_away_does_not_end_the_run():
    program = textwrap.dedent("""
        import os, sys
        from emulator.show import LiveScreen
        reader, writer = os.pipe()
        os.dup2(writer, 2)
        os.close(writer)
        with LiveScreen() as screen:
            screen.update({"phase": "build", "elapsed_s": 0.0})
            os.close(reader)
            for number in range(5):
                screen.update({"phase": "play", "elapsed_s": 6.0 * number + 6})
        print("the run went on")
        os.dup2(1, 2)
    """)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "the run went on\n")
    assert done.stderr == ""


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=6),
    st.integers(0, 60),
)
def test_rows_are_shared_out_and_never_more_than_there_are(wanted, rows):
    granted = panels.grant([(None, count) for count in wanted], rows)
    assert sum(granted) <= rows
    assert all(count <= wish for count, wish in zip(granted, wanted, strict=True))
    if sum(wanted) <= rows:
        assert granted == [wish if wish >= 2 else 0 for wish in wanted]

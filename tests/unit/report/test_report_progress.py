"""Progress over many runs: lines where there is no terminal, one changing line where there is one."""

import io

import pytest

from emulator.report.progress import RunProgress, StepProgress


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


def test_a_line_a_run_with_rate_and_time_left(clock):
    stream = io.StringIO()
    progress = RunProgress(3, stream, clock)
    for number in range(3):
        progress.begin(f"opinions={number}")
        progress.update({"phase": "play", "t_s": 1.0, "duration_s": 2.0})
        clock.now_s += 2.0
        progress.end("pass")
    progress.close()
    assert stream.getvalue().splitlines() == [
        "[1/3] opinions=0  pass  30 runs/min  4.0 s left",
        "[2/3] opinions=1  pass  30 runs/min  2.0 s left",
        "[3/3] opinions=2  pass  30 runs/min",
    ]


def test_one_changing_line_on_a_terminal_and_failures_stay(clock, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    stream = Terminal()
    progress = RunProgress(2, stream, clock)
    progress.begin("x" * 100)
    progress.update({"phase": "play", "t_s": 1.0, "duration_s": 2.0})
    clock.now_s += 1.0
    progress.end("pass")
    assert "\n" not in stream.getvalue()
    assert all(len(part.removeprefix("\x1b[K")) < 60 for part in stream.getvalue().split("\r"))
    progress.begin("b")
    progress.end("fail (exit 1) run-2", lasting=True)
    progress.close()
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().endswith("\r\x1b[K")


def test_a_reader_that_has_gone_disturbs_nothing(clock):
    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    progress = RunProgress(1, Gone(), clock)
    progress.begin("a")
    progress.note("b")
    progress.end("c")
    progress.close()


def test_steps_tell_count_rate_and_time_left_phase_by_phase(clock, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    stream = Terminal()
    with StepProgress(stream, clock) as tell:
        tell("building the network", 0, 0)
        clock.now_s += 3.0
        tell("steps", 0, 40)  # another phase: the three seconds before do not count
        clock.now_s += 2.0
        tell("steps", 10, 40)
        clock.now_s += 0.01
        tell("steps", 11, 40)  # too soon to draw again
    shown = [part.removeprefix("\x1b[K") for part in stream.getvalue().split("\r")[1:]]
    assert shown == ["building the network", "steps  0/40", "steps  10/40  5.0/s  6.0 s left", ""]


def test_steps_say_nothing_in_a_pipe(clock):
    stream = io.StringIO()
    with StepProgress(stream, clock) as tell:
        tell("steps", 1, 2)
    assert stream.getvalue() == ""

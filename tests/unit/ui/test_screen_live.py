"""The loop of the live screen: what a terminal gets, what keys do to the source; and lines without a terminal."""

import io
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import textwrap
import threading
import time
from contextlib import contextmanager

import pytest
from fixed_snapshots import build, console, full, play
from rich.console import Console

from emulator.model.errors import EmulationError
from emulator.ui import LiveScreen
from emulator.ui.terminal.lines import Frame, line
from emulator.ui.terminal.terminal import Terminal

ENDED = None
WITH_US = {**os.environ, "PYTHONPATH": ":".join(sys.path)}  # programs that import this file


class Script:
    """A source that gives its snapshots as they are expected, and remembers what it was asked."""

    def __init__(self, snapshots, stubborn=False):
        self._snapshots, self.given = [], 0
        self.fd, self._writer = os.pipe()
        self._stubborn = stubborn
        self.asked = []
        self.give(*snapshots)

    def give(self, *snapshots):
        self._snapshots += snapshots
        self.given += len(snapshots)
        os.write(self._writer, b"x" * len(snapshots))

    def receive(self):
        os.read(self.fd, 1)
        return self._snapshots.pop(0)

    def view(self, view):
        self.asked.append(("view", view))

    def fault(self, action):
        self.asked.append(("fault", action))

    def stop(self):
        self.asked.append(("stop",))
        self.give(ENDED)

    def detach(self):
        if self._stubborn:
            raise EmulationError("it does not answer")
        self.asked.append(("detach",))


class Past(Script):
    """A finished run."""

    def seek(self, delta_s):
        self.asked.append(("seek", delta_s))


@contextmanager
def typing(*keys):
    """A terminal on which these keys are typed, each once the one before has been read; its descriptor.

    The first is typed once the screen reads single keys: what is typed before waits for the end of a line, and comes at
    once. What can be called is waited for until it says True.
    """
    ours, theirs = pty.openpty()
    done = threading.Event()
    read = bytearray()
    read_keys = Terminal.read_keys

    def remembered(terminal):
        data = read_keys(terminal)
        read.extend(data)
        return data

    def type_them():
        while termios.tcgetattr(theirs)[3] & termios.ICANON and not done.wait(0.002):
            pass
        typed = 0
        for key in keys:
            if callable(key):
                while not done.wait(0.002) and not key():
                    pass
                continue
            os.write(ours, key)
            typed += len(key)
            while not done.wait(0.002) and len(read) < typed:
                pass

    thread = threading.Thread(target=type_them)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Terminal, "read_keys", remembered)
        thread.start()
        try:
            yield theirs
        finally:
            done.set()
            thread.join()
            os.close(ours)
            os.close(theirs)


def followed(source, *keys, paper=None):
    """What `follow` says after these keys, and what the terminal got."""
    paper = paper or console(80, 24)
    with typing(*keys) as fd:
        left = LiveScreen(console=paper, keys=fd).follow(source)
    return left, paper.file.getvalue()


def test_frames_until_the_run_ends_and_the_terminal_as_it_was():
    source = Script([build(), full(), ENDED])
    left, shown = followed(source)
    assert not left
    assert "412/1,584" in shown
    assert "[1 overview]" in shown
    assert shown.startswith("\x1b[?1049h\x1b[?25l")
    assert shown.endswith("\x1b[?25h\x1b[?1049l")
    assert source.asked[0] == ("view", {"panel": "overview", "rows": 20})


def test_keys_reach_the_source_as_requests():
    source = Script([full()])
    left, _ = followed(source, b"3", b"f", b"\x1b[B", b"\r", b"/", b"p", b"a", b"\r", b"q")
    assert left
    assert ("fault", {"do": "link-up", "links": ["gs-tokyo:up"]}) in source.asked
    assert ("view", {"panel": "links", "rows": 60, "filter": "pa"}) in source.asked
    assert source.asked[-1] == ("detach",)


def test_stop_is_asked_for_after_a_question_and_the_screen_waits_for_the_end():
    source = Script([full()])
    left, shown = followed(source, b"Q", b"y")
    assert not left
    assert "stop the run? y/n" in shown
    assert ("stop",) in source.asked


def test_an_escape_is_told_from_the_beginning_of_a_sequence_by_waiting():
    source = Script([full()])

    def shows(detail):
        return lambda: source.asked[-1][1].get("detail", "") == detail

    followed(
        source, b"3", b"\r", shows("gs-tokyo:up"), b"\x1b", shows(""), b"\x1b[B", b"\r", shows("gs-paris:up"), b"q"
    )  # fmt: skip
    details = [view.get("detail", "") for name, view in source.asked[:-1] if name == "view"]
    assert [name for name in details if name] == ["gs-tokyo:up", "gs-paris:up"]


def test_a_finished_run_is_moved_in_time_and_left():
    source = Past([full()])
    left, shown = followed(source, b"\x1b[C", b"\x1b[6~", b"\x1b[H", b"q")
    assert left
    assert [request[1] for request in source.asked if request[0] == "seek"] == [1.0, 10.0, float("-inf")]
    assert "quit" in shown


def test_a_run_that_cannot_be_left_is_not_left():
    source = Script([full()], stubborn=True)
    left, shown = followed(source, b"q", b"Q", b"y")
    assert not left
    assert "it does not answer" in shown


def test_frozen_pictures_stay_while_snapshots_are_read():
    paper, frozen = console(80, 24), []
    source = Script([full()])
    source.view = lambda view: source.give(full(45.0), full(46.0)) if view["panel"] == "map" else None

    def all_read():
        if source.given == 3 and not source._snapshots:
            frozen.append(paper.file.getvalue())
        return bool(frozen)

    _, shown = followed(source, b" ", b"6", all_read, b"7", b" ", b"q", paper=paper)
    assert "FROZEN at 00:41" in frozen[0]
    assert "00:46/01:00" not in frozen[0]
    assert "00:46/01:00" in shown


def test_at_most_four_frames_a_second_come_of_snapshots():
    now_s = [0.0]

    class Fast(Script):
        def receive(self):
            now_s[0] += 0.05
            return super().receive()

    paper = console(80, 24)
    source = Fast([play(10 + number) for number in range(20)] + [ENDED])
    with typing() as fd:
        LiveScreen(console=paper, keys=fd, clock=lambda: now_s[0]).follow(source)
    assert 4 <= paper.file.getvalue().count("\x1b[?2026h") <= 7


def test_only_changed_lines_are_written():
    paper = console(40, 4)
    with typing() as fd, Terminal(paper, fd) as terminal:
        terminal.paint(Frame([line("one"), line("two"), line("three")]))
        before = len(paper.file.getvalue())
        terminal.paint(Frame([line("one"), line(("zwei", "red")), line("three")]))
        assert paper.file.getvalue()[before:] == "\x1b[?2026h\x1b[2;1Hzwei\x1b[K\x1b[?2026l"
        before = len(paper.file.getvalue())
        terminal.paint(Frame([line("one"), line(("zwei", "red")), line("three")]))
        assert paper.file.getvalue()[before:] == ""
        terminal.paint(Frame([line("one")]))
        assert paper.file.getvalue()[before:] == "\x1b[?2026h\x1b[2;1H\x1b[J\x1b[?2026l"


@pytest.mark.parametrize(("options", "coloured"), [({}, True), ({"no_color": True}, False)])
def test_no_color_is_respected(options, coloured):
    paper = console(80, 24, color_system="standard", **options)
    _, shown = followed(Script([full(warnings=["x"]), ENDED]), paper=paper)
    assert bool(re.search(r"\x1b\[(\d+;)*3[0-7]m", shown)) is coloured
    assert "\x1b[1m" in shown


def test_terminal_is_restored_when_the_run_breaks():
    class Broken(Script):
        def receive(self):
            raise RuntimeError("broken")

    paper = console(80, 24)
    with typing() as fd:
        before = termios.tcgetattr(fd)
        with pytest.raises(RuntimeError, match="broken"):
            LiveScreen(console=paper, keys=fd).follow(Broken([full()]))
        assert termios.tcgetattr(fd) == before
    assert paper.file.getvalue().count("\x1b[?1049l") == 1


def test_signal_handlers_are_as_they_were():
    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGWINCH, signal.SIGTSTP)
    before = [signal.getsignal(number) for number in numbers]
    followed(Script([full(), ENDED]))
    assert [signal.getsignal(number) for number in numbers] == before


def test_keys_of_a_terminal_that_has_gone_away_end_nothing():
    reader, writer = os.pipe()
    os.close(writer)  # reading gives the end at once
    paper = console(80, 24)
    assert not LiveScreen(console=paper, keys=reader).follow(Script([full(), full(), ENDED]))
    os.close(reader)
    assert paper.file.getvalue().endswith("\x1b[?1049l")


def test_sigterm_leaves_the_terminal_as_it_was():
    program = textwrap.dedent("""
        from fixed_snapshots import full
        from test_screen_live import Script
        from emulator.ui import LiveScreen
        LiveScreen().follow(Script([full()]))
    """)
    pid, ours = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, "-c", program], {**WITH_US, "TERM": "xterm"})
    try:
        _until(ours, b"", b"[1 overview]")
        assert not termios.tcgetattr(ours)[3] & termios.ICANON
        modes = termios.tcgetattr(ours)[3] | termios.ICANON | termios.ECHO
        os.kill(pid, signal.SIGTERM)
        _until(ours, b"", b"\x1b[?1049l")
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 128 + signal.SIGTERM
        assert termios.tcgetattr(ours)[3] == modes
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise
    finally:
        os.close(ours)


def _until(fd, said, expected, most_s=60.0):
    end_s = time.monotonic() + most_s
    while expected not in said:
        assert time.monotonic() < end_s, said
        try:
            said += os.read(fd, 65536)
        except OSError:  # the other side has gone
            break
    assert expected in said
    return said


def lines_of(snapshots, paper, **options):
    LiveScreen(console=paper, **options).follow(Script([*snapshots, ENDED]))
    return paper.file.getvalue()


def test_without_a_terminal_one_line_per_phase_and_five_seconds():
    snapshots = [build(done=0, elapsed_s=0.2), build(elapsed_s=0.9), *(play(number * 0.25) for number in range(45))]
    snapshots.append({"phase": "analysis", "elapsed_s": 14.0, "warnings": ["w1"]})
    snapshots.append({"phase": "analysis", "elapsed_s": 14.2, "warnings": ["w1", "w2"]})
    plain = console(80, 24, force_terminal=False)
    assert lines_of(snapshots, plain, scenario="leo").splitlines() == [
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
    assert lines_of([play()], console(80, 24), enabled=False).count("\n") == 1


def test_each_warning_is_written_once_wherever_it_stands_and_however_its_numbers_grow():
    late, lost = "the relay used its whole core in {} of 9 reports", "2 events were lost"
    series = [{**play(), "warnings": warned} for warned in
              ([late.format(1)], [late.format(2)], [lost, late.format(3)], [lost, late.format(4)])]  # fmt: skip
    written = lines_of(series, console(80, 24), enabled=False)
    assert [line for line in written.splitlines() if "warning" in line] == [
        f"▲ warning: {late.format(1)}",
        f"▲ warning: {lost}",
    ]


def test_dumb_terminal_gets_lines():
    assert "\x1b" not in lines_of([play()], console(80, 24, _environ={"TERM": "dumb"}))


def test_ascii_output_never_fails():
    raw = io.BytesIO()
    plain = Console(file=io.TextIOWrapper(raw, encoding="ascii"), width=80, force_terminal=False)
    LiveScreen(console=plain).follow(Script([play(warnings=["gs-tokyo → gs-paris"]), ENDED]))
    plain.file.flush()
    assert raw.getvalue().startswith(b"! warning: gs-tokyo ? gs-paris\n")


def test_ascii_terminals_get_frames_in_ascii():
    raw = io.BytesIO()
    paper = Console(file=io.TextIOWrapper(raw, encoding="ascii"), width=80, height=24, force_terminal=True, _environ={})
    with typing(*[str(number).encode() for number in range(1, 8)], b"q") as fd:
        LiveScreen(console=paper, keys=fd).follow(Script([full()]))
    shown = raw.getvalue().decode("ascii")
    assert "[7 events]" in shown
    assert "gs-tokyo > gs-nairobi" in shown


def test_reader_that_goes_away_does_not_end_the_run():
    program = textwrap.dedent("""
        import os
        from test_screen_live import Script
        from emulator.ui import LiveScreen
        reader, writer = os.pipe()
        os.dup2(writer, 2)
        os.close(writer)

        class Run(Script):
            def receive(self):
                if len(self._snapshots) == 5:
                    os.close(reader)
                return super().receive()

        beats = [{"phase": "play", "elapsed_s": 6.0 * number + 6} for number in range(5)]
        LiveScreen().follow(Run([{"phase": "build", "elapsed_s": 0.0}, *beats, None]))
        print("the run went on")
        os.dup2(1, 2)
    """)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, env=WITH_US)
    assert (done.returncode, done.stdout) == (0, "the run went on\n")
    assert done.stderr == ""


def test_control_characters_of_a_host_s_words_reach_no_terminal(capsys):
    told = "alpha: the runner ended with status 1: \x1b]0;owned\x1b[2Jno disk"
    LiveScreen(enabled=False).follow(Script([play(warnings=[told]), ENDED]))
    shown = capsys.readouterr().err
    assert "warning: alpha: the runner ended with status 1: \\u001b]0;owned\\u001b[2Jno disk" in shown
    assert "\x1b" not in shown

"""The live screen in a real terminal: keys by tmux, what stands on the screen, and a shell that is as it was."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from emulator.client.watch import Watch, live_runs

pytestmark = pytest.mark.netns

PATIENCE_S = 60.0
SCENARIO = """
name = "screen"
duration = "60 s"
topology = "topologies.graph"
routing = "neighbours"
materialise = "all"
[graph]
spec = "nx.path_graph:3"
[[program]]
name = "probe"
nodes = ["*"]
run = "nodes.traffic.probe:Probe"
[fidelity]
lateness_p99 = "1 s"
"""


class Screen:
    """A shell in a tmux of its own."""

    def __init__(self, folder: Path) -> None:
        self._tmux = ["tmux", "-S", str(folder / "tmux"), "-f", "/dev/null"]
        shell = ["env", "PS1=ready$ ", "TERM=screen-256color", "bash", "--norc", "--noprofile"]
        self._do("new-session", "-d", "-x", "80", "-y", "24", "-c", str(folder), *shell)
        self.until("ready$")

    def _do(self, *words: str) -> str:
        return subprocess.run([*self._tmux, *words], check=True, capture_output=True, text=True, timeout=10).stdout

    def keys(self, *keys: str) -> None:
        self._do("send-keys", *keys)

    def type(self, words: str) -> None:
        self._do("send-keys", "-l", words)

    def resize(self, width: int, height: int) -> None:
        self._do("resize-window", "-x", str(width), "-y", str(height))

    def text(self) -> str:
        return self._do("capture-pane", "-p")

    def until(self, *expected: str) -> str:
        """What stands on the screen once it has all that is expected."""
        return wait_for(self.text, lambda shown: all(words in shown for words in expected))

    def close(self) -> None:
        subprocess.run([*self._tmux, "kill-server"], check=False, capture_output=True)


def wait_for(look: Callable[[], str], enough: Callable[[str], bool]) -> str:
    end_s = time.monotonic() + PATIENCE_S
    while not enough(seen := look()):
        assert time.monotonic() < end_s, f"waited in vain; the screen shows\n{seen}"
        time.sleep(0.02)  # between two looks, not for the condition
    return seen


@pytest.fixture
def screen(with_sandbox: None, tmp_path: Path) -> Iterator[Screen]:
    if shutil.which("tmux") is None:
        pytest.skip("there is no tmux")
    (tmp_path / "screen.toml").write_text(SCENARIO)
    shown = Screen(tmp_path)
    try:
        yield shown
    finally:
        shown.close()


def run_of(folder: Path) -> str:
    """The id of the only run below `runs`; "" where there is none yet."""
    return next((path.name.rpartition("-")[2] for path in (folder / "runs" / "screen").glob("20*")), "")


def stop(run: str) -> None:
    """End the run that this test has left behind."""
    if run in live_runs():
        watch = Watch(run)
        watch.stop()
        while watch.receive() is not None:
            pass
        watch.close()


def test_a_run_on_a_terminal(screen: Screen, tmp_path: Path) -> None:
    skyloom = Path(sys.executable).parent / "skyloom"
    try:
        screen.type(f"stty -g > modes-before; {skyloom} run screen.toml --runs runs")
        screen.keys("Enter")
        shown = screen.until("[1 overview]", "? help  q detach  Q stop  1-7 panels", "00:0")
        assert "folder runs/screen/" in shown, shown

        screen.keys("3")
        screen.until("[3 links]", "link end", "n0:")
        screen.keys("/", "n", "2", ":", "Enter")
        assert "n0:" not in screen.until("Links with “n2:”", "›n2:n1")
        screen.keys("f")
        screen.until("Do what to the link n2:", "› link-down")
        screen.keys("Enter")
        screen.until("action link-down links=n2:")
        screen.keys("Enter")
        screen.until("Links › n2:n1", "dropped: outage", "link-down")
        screen.keys("Escape")  # and nothing at once after it: that would be Alt and a key
        screen.until("Links with “n2:”")
        screen.keys("?")
        screen.until("Keys of links")
        screen.keys("2")
        screen.keys("2", "Space")
        screen.until("[2 nodes]", "FROZEN at 00:")
        screen.keys("Space")

        screen.resize(100, 30)
        wait_for(screen.text, lambda now: "FROZEN" not in now and len(now.rstrip("\n").split("\n")) == 30)

        screen.keys("C-z")
        screen.until("Stopped", "ready$")
        screen.type("stty -g > modes-stopped; fg; echo code $?")
        screen.keys("Enter")
        screen.until("[2 nodes]")

        screen.keys("q")
        screen.until("detached: run", "skyloom watch", "code 0")
        screen.type("stty -g > modes-after")
        screen.keys("Enter")
        after = tmp_path / "modes-after"
        modes = wait_for(lambda: after.read_text() if after.exists() else "", bool)
        assert {(tmp_path / f"modes-{when}").read_text() for when in ("before", "stopped")} == {modes}
        assert run_of(tmp_path) in live_runs()  # it goes on

        screen.type(f"{skyloom} watch {run_of(tmp_path)}")
        screen.keys("Enter")
        screen.until("[1 overview]")
        screen.keys("Q")
        screen.until("stop the run? y/n")
        screen.keys("y")
        wait_for(lambda: "" if run_of(tmp_path) in live_runs() else "ended", bool)
    finally:
        stop(run_of(tmp_path))

"""Wireshark's four calls against a live run, and tshark capturing by the installed script."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from skyloom_command import SKYLOOM

from emulator.record.wireshark import EXTCAPS, install

pytestmark = [
    pytest.mark.netns,
    pytest.mark.slow,
    pytest.mark.usefixtures("with_root"),
    pytest.mark.skipif(shutil.which("tshark") is None, reason="no tshark here"),
]

SCENARIO = """
name = "small"
topology = "topologies.links"
duration = "40 s"

[[link]]
a = "a"
b = "b"
delay = "5 ms"

[[program]]
name = "probe"
nodes = ["*"]
run = "nodes.traffic.probe:Probe"
config.interval = "50 ms"
"""


@pytest.fixture
def run_id(tmp_path):
    """A run that plays until the test has ended."""
    (tmp_path / "small.toml").write_text(SCENARIO)
    command = [*SKYLOOM, "run", str(tmp_path / "small.toml"), "--no-tui", "--runs"]
    process = subprocess.Popen(
        [*command, str(tmp_path / "runs")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if " play " in line:
                break
        else:
            raise AssertionError("".join(lines))
        yield (tmp_path / "runs" / "small" / "latest").resolve().name.rpartition("-")[2]
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


def test_the_four_calls_and_a_capture_by_tshark(run_id: str, tmp_path: Path) -> None:
    install(tmp_path)
    script = tmp_path / EXTCAPS[0]

    def said(*words: str) -> str:
        return subprocess.run([script, *words], capture_output=True, text=True, check=True, timeout=30).stdout

    listed = [line for line in said("--extcap-interfaces", "--extcap-version=4.0").splitlines() if run_id in line]
    names = [re.findall(r"{value=([^}]*)}{display=([^}]*)}", line)[0] for line in listed]
    ends = [(value, display) for value, display in names if not value.endswith("*")]
    assert len(names) == 3
    assert {display.partition(" (")[0] for _, display in ends} == {"skyloom: a -> b", "skyloom: b -> a"}
    value = ends[0][0]
    assert "--snaplen" in said("--extcap-config", "--extcap-interface", value)
    assert said("--extcap-dlts", "--extcap-interface", value).startswith("dlt {number=101}")

    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    words = ["--capture", "--extcap-interface", value, "--fifo", str(fifo), "--extcap-capture-filter", "port 4242"]
    capturing = subprocess.Popen([script, *words])
    read = ["tshark", "-X", f"lua_script:{tmp_path / '.local/lib/wireshark/plugins/skyloom.lua'}", "-r", str(fifo)]
    first = subprocess.run([*read, "-c", "3", "-T", "fields", "-e", "skyloom.probe.sequence"], capture_output=True,
                           text=True, timeout=30, check=True, env=os.environ | {"HOME": "/nonexistent"})  # fmt: skip
    assert len(first.stdout.split()) == 3
    assert capturing.wait(timeout=30) == 0  # nobody reads any more

    live = ["tshark", "-i", value, "-c", "3", "-a", "duration:20"]
    done = subprocess.run(live, capture_output=True, text=True, timeout=60, env=os.environ | {"HOME": str(tmp_path)})
    assert done.stdout.count("Probe request") + done.stdout.count("Probe echo") == 3, done.stderr

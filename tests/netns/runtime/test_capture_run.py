"""Captures of real runs, as tshark shows them: faults as comments, filters, files, TLS in clear, another terminal."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from fabric_sandbox import needs_sandbox
from skyloom_command import SKYLOOM, skyloom

pytestmark = [
    pytest.mark.netns,
    needs_sandbox,
    pytest.mark.skipif(shutil.which("tshark") is None, reason="no tshark here"),
]

SCENARIO = """
name = "three"
topology = "topologies.graph"
routing = "neighbours"
duration = "4 s"
[graph]
spec = "complete:3"
delay = "5 ms"
[fidelity]
lateness_p99 = "1 s"
[[program]]
name = "probe"
nodes = ["*"]
run = "nodes.traffic.probe:Probe"
config = { interval = "50 ms" }
[[program]]
name = "other"
nodes = ["*"]
run = "nodes.traffic.probe:Probe"
config = { interval = "100 ms", port = 5000 }
[[action]]
at = "800 ms"
for = "600 ms"
do = "link-down"
links = ["n0:n1"]
"""


def start(folder: Path, table: str, scenario: str = SCENARIO, *words: str) -> subprocess.Popen[str]:
    (folder / "three.toml").write_text(f"{scenario}[capture]\n{table}\n")
    command = [*SKYLOOM, "run", str(folder / "three.toml"), "--no-tui", "--json", "--runs", str(folder / "runs")]
    return subprocess.Popen([*command, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str], folder: Path) -> tuple[dict[str, Any], Path]:
    """Verdict and folder of a run that ended well."""
    out, err = process.communicate(timeout=90)
    assert process.returncode == 0, out + err
    return json.loads(out), folder / "runs" / "three" / "latest"


def tshark(path: Path, *words: str) -> list[list[str]]:
    """Rows of the fields named by `words`."""
    fields = [part for word in words for part in ("-e", word)]
    done = subprocess.run(
        ["tshark", "-n", "-r", str(path), "-T", "fields", *fields], capture_output=True, text=True, check=False
    )
    complaints = [line for line in done.stderr.splitlines() if line and "Running as user" not in line]
    assert complaints == []
    return [line.split("\t") for line in done.stdout.splitlines()]


def test_faults_are_comments_where_links_fall_silent_and_speak_again(tmp_path: Path) -> None:
    """A link of three goes down for 600 ms; another terminal takes packets of one node meanwhile."""
    process = start(tmp_path, 'links = ["n0", "n1"]\nfilter = "port 4242 and not link n1:n2"')
    live = tmp_path / "live.pcapng"
    latest, told = tmp_path / "runs" / "three" / "latest", ""
    words = ["capture", "n2", "--filter", "port 5000", "--count", "5", "--to", str(live)]
    while told != "5 packets\n" and process.poll() is None:  # until the run is there to be asked
        run_id = latest.resolve().name.rpartition("-")[2]
        told = skyloom(*words, "--run", run_id).stderr
    verdict, run = finish(process, tmp_path)
    rows = tshark(run / "capture.pcapng", "frame.interface_name", "udp.dstport", "frame.comment", "frame.time_relative")
    assert {row[0] for row in rows} == {"n0 -> n1", "n1 -> n0", "n0 -> n2", "n2 -> n0"}
    assert {row[1] for row in rows} == {"4242"}
    for name in ("n0 -> n1", "n1 -> n0"):
        comments = [row[2] for row in rows if row[0] == name and row[2]]
        assert comments[0].startswith("fault: link-down n0:n1 at 0.8")
        assert comments[0].endswith("; dropped: link down")
        assert set(comments[1:-1]) == {"dropped: link down"}
        assert comments[-1].startswith("fault: link-up n0:n1 at 1.4")
    assert not any(row[2] for row in rows if row[0] == "n0 -> n2")
    assert verdict["capture"]["packets"] == len(rows)
    assert verdict["capture"]["missed"] == 0
    assert told == "5 packets\n"
    assert {tuple(row[:1]) for row in tshark(live, "udp.dstport")} == {("5000",)}


def test_tls_is_shown_in_clear_without_an_option(tmp_path: Path) -> None:
    """Validators talk by TLS 1.3; the capture brings its keys."""
    sets = (
        "validators=4", "topology=lan", "network.local=10 ms", "load.start=500 ms", "load.drain=1 s", "load.rate=50",
        "fidelity.lateness_p99=1 s",
    )  # fmt: skip
    words = [word for each in (*sets, 'capture.filter="port 7100"') for word in ("--set", each)]
    done = skyloom(
        "run", "lemonshark", "--no-tui", "--runs", tmp_path, "--duration", "3 s", *words, "--capture", "v0"
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stdout + done.stderr  # whether clients were served is another test's matter
    run = tmp_path / "lemonshark" / "latest"
    followed = subprocess.run(
        ["tshark", "-r", str(run / "capture.pcapng"), "-q", "-z", "follow,tls,raw,0"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert b"SkyD".hex() in "".join(followed.stdout.split()), followed.stdout + followed.stderr

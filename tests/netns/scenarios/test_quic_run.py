"""`skyloom run quic` in short: unmodified aioquic and TCP at once, qlog files and keys in the run folder."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from fabric_sandbox import needs_sandbox
from skyloom_command import skyloom

from emulator.record import qlog

pytestmark = [pytest.mark.netns, pytest.mark.timeout(120), needs_sandbox]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    pytest.importorskip("aioquic")
    runs = tmp_path_factory.mktemp("runs")
    options = ["--set", "slots=1", "--set", "fidelity.lateness_p99=1 s", "--capture", "gs-dish"]
    ended = skyloom("run", "quic", "--no-tui", "--duration", "6 s", "--runs", runs, *options)
    assert ended.returncode == 0, ended.stderr + ended.stdout
    (found,) = runs.glob("quic/2*")
    return found


def packets(folder: Path, display: str, field: str) -> list[str]:
    """A field of the captured packets that a display filter lets through."""
    words = ["tshark", "-r", str(folder / "capture.pcapng"), "-Y", display, "-T", "fields", "-e", field]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()


def test_both_transports_have_figures(folder):
    summary = json.loads((folder / "verdict.json").read_text())["summary"]
    for transport in ("quic", "tcp"):
        assert summary[transport]["goodput_mbit_s"] > 0.01
        assert 30 < summary[transport]["rtt_ms"]["p50"] < 1000
    assert summary["quic"]["congestion"] == "cubic"


@pytest.mark.skipif(not shutil.which("tshark"), reason="needs tshark (Debian package tshark)")
def test_the_capture_is_decrypted_and_on_the_clock_of_the_qlog(folder):
    streams = packets(folder, "quic.stream_data", "frame.time_epoch")
    assert len(streams) > 10
    t0_s = json.loads((folder / "platform.json").read_text())["t0_utc_ns"] / 1e9
    first = float(packets(folder, "quic.long.packet_type == 0", "frame.time_epoch")[0])
    (trace,) = qlog.read(folder / "nodes" / "gs-dish" / "client.qlog")
    (server,) = qlog.read(folder / "nodes" / "server" / "server.qlog")
    assert (trace.vantage, server.vantage) == ("client", "server")
    sent = next(event for event in trace.events if event.name == "transport:packet_sent")
    assert sent.t_s > 1.0
    since_t0_s = first - t0_s if first > 1e9 else first
    assert abs(sent.t_s - since_t0_s) < 0.1

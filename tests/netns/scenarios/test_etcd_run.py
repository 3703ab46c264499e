"""Debian's etcd over five regions, by the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from skyloom_command import skyloom

pytestmark = [
    pytest.mark.netns,
    pytest.mark.usefixtures("with_root"),
    pytest.mark.skipif(shutil.which("etcd") is None, reason="needs etcd: apt-get install etcd-server"),
]


def test_a_killed_leader_loses_no_write(tmp_path: Path) -> None:
    shorter = {"kill": "3 s", "down": "3 s", "audit": "16 s"}
    options = [word for key, value in shorter.items() for word in ("--set", f"program.client.config.{key}={value}")]
    ended = skyloom("run", "etcd", "--duration", "34s", "--no-tui", "--runs", tmp_path, *options)
    verdict = json.loads((tmp_path / "etcd" / "latest" / "verdict.json").read_text())
    summary = verdict["summary"]
    assert summary["lost_writes"] == 0, ended.stdout
    assert summary["audited_writes"] > 0
    assert summary["election_s"] > 0
    programs = [each for each in verdict["expectations"] if each["figure"].startswith("program")]
    assert all(each["holds"] for each in programs), programs
    for put in summary["puts"].values():  # how near it is depends on the machine; nearer than the map it cannot be
        assert put["put_ms"] > put["quorum_ms"]

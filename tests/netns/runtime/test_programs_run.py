"""Programs that exist already: ready when a probe says so, started in order, restarted, and judged by how they end."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from skyloom_command import skyloom

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("with_root")]

PYTHON = sys.executable
LINK = """
topology = "topologies.links"
duration = "{duration}"
[[link]]
a = "a"
b = "b"
delay = "1 ms"
"""
SERVES = f"""
[[program]]
name = "web"
nodes = "a"
command = ["{PYTHON}", "-u", "-m", "http.server", "8000"]
ready = {{ http = "http://a:8000/" }}
[[program]]
name = "writer"
nodes = "b"
command = "sh -c 'echo begins; sleep 0.3; echo server started; sleep 100'"
ready = {{ log = "server \\\\w+" }}
[[program]]
name = "file"
nodes = "b"
command = "sh -c 'sleep 0.2; touch there; sleep 100'"
ready = {{ command = "test -e there" }}
[[program]]
name = "get"
nodes = "b"
command = ["{PYTHON}", "-c", "import urllib.request as u; print(u.urlopen('http://a:8000/').status)"]
after = ["web", "writer", "file"]
expect = "exit 0"
[[program]]
name = "flaky"
nodes = "b"
command = "sh -c 'if [ -e tried ]; then exit 0; fi; touch tried; exit 5'"
restart = 2
[[action]]
at = "ready + 0.2 s"
do = "exec"
nodes = "*"
command = "sh -c 'echo told; echo aside >&2'"
expect = "exit 0"
"""
DIES = """
[[program]]
name = "db"
nodes = "*"
command = "sh -c 'echo bad flag --frobnicate; exit 1'"
ready = { tcp = 2379 }
[[program]]
name = "client"
nodes = "a"
command = "true"
after = "db"
[[action]]
at = "0.3 s"
do = "exec"
nodes = "a"
command = "false"
"""
HANGS = """
[[program]]
name = "deaf"
nodes = "a"
command = "sleep 100"
ready = { command = "sleep 100" }
ready_within = "0.5 s"
[[program]]
name = "loud"
nodes = "b"
command = "sh -c 'while :; do echo 0123456789012345678901234567890123456789; done'"
ready = { log = "^never$" }
ready_within = "0.5 s"
[[program]]
name = "away"
nodes = "b"
command = "sh -c '(setsid sleep 100 &) ; exit 0'"
"""


def run(tmp_path: Path, text: str, duration: str, *words: str) -> tuple[int, dict[str, Any], Path, str]:
    """Exit code, verdict, run folder and summary of a scenario."""
    tmp_path.mkdir(exist_ok=True)
    file = tmp_path / "programs.toml"
    file.write_text(LINK.replace("{duration}", duration) + text)
    ended = skyloom("run", file, "--no-tui", "--runs", tmp_path / "runs", "--set", "fidelity.lateness_p99=1 s", *words)
    (folder,) = (path for path in (tmp_path / "runs" / "programs").iterdir() if path.name != "latest")
    return ended.returncode, json.loads((folder / "verdict.json").read_text()), folder, ended.stdout


def events(folder: Path, kind: str) -> Sequence[dict[str, Any]]:
    from emulator.record.load import load_run

    rows = load_run(folder).events
    return [
        {**json.loads(row["data"]), "node": row["node"], "program": row["program"]}
        for row in rows.to_dicts()
        if row["kind"] == kind
    ]


def test_ready_programs_start_those_that_wait_for_them(tmp_path: Path) -> None:
    for duration in ("3 s", "10 s", "30 s"):  # on a busy machine it takes long until a web server serves
        code, verdict, folder, _ = run(tmp_path / duration[:2].strip(), SERVES, duration)
        if code == 0:
            break
    assert code == 0, verdict["expectations"]
    assert {each["program"] for each in events(folder, "program-ready")} == {"web", "writer", "file"}
    started = {(each["program"], each["restart"]) for each in events(folder, "program-started")}
    assert started == {("get", 0), ("flaky", 1)}
    ended = events(folder, "exec-ended")
    assert [(each["status"], each["output"]) for each in ended] == [(0, "told\naside\n")] * 2
    assert (folder / "logs" / "b" / "get.txt").read_text() == "200\n"
    assert (folder / "logs" / "b.txt").read_text() == "told\naside\n"
    shown = skyloom("logs", "b", "writer", "--run", folder)
    assert shown.stdout == "begins\nserver started\n"
    assert "writer: server started\n" in skyloom("logs", "b", "--run", folder).stdout
    assert skyloom("logs", "b", "nobody", "--run", folder).returncode == 64


def test_programs_that_die_fail_the_verdict(tmp_path: Path) -> None:
    code, verdict, _, said = run(tmp_path, DIES, "1 s")
    assert code == 1
    by_figure = {each["figure"]: each for each in verdict["expectations"]}
    assert by_figure["program db"]["observed"] == "0 of 2"
    assert "before it was ready" in by_figure["program db"]["reason"]
    assert by_figure["program client"]["reason"] == "a: it was not started: db on a is not ready"
    assert "bad flag --frobnicate" in said
    assert any("exec `false` on a exited with status 1" in warning for warning in verdict["warnings"])
    assert any("no packet crossed" in warning for warning in verdict["warnings"])


def test_a_program_that_is_never_ready_fails_the_verdict_in_time(tmp_path: Path) -> None:
    code, verdict, folder, _ = run(tmp_path, HANGS, "2 s")
    assert code == 1
    holds = {each["figure"]: each["holds"] for each in verdict["expectations"]}
    assert holds == {"program deaf": False, "program loud": False, "program away": True}
    assert {each["program"] for each in events(folder, "program-not-ready")} == {"deaf", "loud"}
    assert (folder / "logs" / "b" / "loud.txt").stat().st_size > 0


def test_any_end_can_be_allowed(tmp_path: Path) -> None:
    allowed = DIES.replace("ready = { tcp = 2379 }", 'expect = "any"').replace('command = "false"', 'command = "true"')
    code, verdict, _, _ = run(tmp_path, allowed, "1 s")
    assert code == 0, verdict["expectations"]

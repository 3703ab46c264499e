"""`skyloom run plurality` over real sockets: results equal the simulation, however agents share processes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fabric_sandbox import needs_sandbox
from skyloom_command import skyloom_in_time

pytestmark = [pytest.mark.netns, pytest.mark.timeout(120), needs_sandbox]

ANY_MACHINE = "fidelity.lateness_p99=500 ms"  # what is asserted here does not depend on how quick the machine is


def run(folder: Path, *parameters: str) -> dict[str, Any]:
    """The verdict of a run that passed."""
    sets = [word for parameter in (*parameters, ANY_MACHINE) for word in ("--set", parameter)]
    done = skyloom_in_time("run", "plurality", "--no-tui", "--json", "--runs", folder, *sets)
    assert done.returncode == 0, done.stdout + done.stderr
    verdict: dict[str, Any] = json.loads(done.stdout)
    return verdict


def prediction(verdict: dict[str, Any]) -> dict[str, Any]:
    """What was predicted exactly: all but times."""
    return {name: value for name, value in verdict["prediction"].items() if not name.endswith("_s")}


def test_agents_share_processes_with_the_same_results(tmp_path: Path) -> None:
    """32 processes, 4 processes of 8 agents, and the simulation in memory: the same rounds, samples and winner."""
    verdicts = [run(tmp_path, "opinions=4", *more) for more in ([], ["agents_per_process=8"])]
    for verdict in verdicts:
        summary = verdict["summary"]
        known = prediction(verdict)
        assert {name: summary[name] for name in known} == known
        assert {"rounds", "samples", "winner", "critical_trips"} <= set(known)
        assert summary["round_fidelity"] == 1.0
        assert (summary["lost"], summary["refused"], summary["late"]) == (0, 0, 0)
        assert summary["messages"] == 2 * summary["samples"]
        assert summary["asking_s"] >= verdict["prediction"]["asking_s"] - 0.001, "no answer is faster than the links"
        assert verdict["rounds"]["messages"] == verdict["rounds"]["interface_packets"] == summary["link_messages"]
    assert verdicts[0]["prediction"] == verdicts[1]["prediction"]
    assert verdicts[0]["summary"]["link_messages"] == verdicts[0]["summary"]["messages"]
    assert verdicts[1]["summary"]["link_messages"] < verdicts[1]["summary"]["messages"]
    assert verdicts[0]["summary"]["bytes"] == verdicts[1]["summary"]["bytes"]


@pytest.mark.parametrize("protocol", ["h-majority", "2-choices", "undecided"])
def test_rivals(tmp_path: Path, protocol: str) -> None:
    verdict = run(tmp_path, "agents=16", f"protocol={protocol}")
    known = prediction(verdict)
    assert {name: verdict["summary"][name] for name in known} == known


def test_lost_messages_are_asked_again(tmp_path: Path) -> None:
    summary = run(tmp_path, "agents=16", "loss=5 %", "latency=2 ms", "timeout=100 ms")["summary"]
    assert summary["consensus"]
    assert summary["lost"] > 0
    assert summary["messages"] > 2 * summary["samples"] - 1


def test_poisson_clocks(tmp_path: Path) -> None:
    settings = ("agents=16", "agents_per_process=4", "mode=asynchronous", "interval=100 ms", "latency=1 ms")
    summary = run(tmp_path, *settings)["summary"]
    assert summary["consensus"]
    assert summary["rounds"] > 0
    assert "critical_trips" not in summary


def test_a_graph_whose_neighbours_ask(tmp_path: Path) -> None:
    verdict = run(tmp_path, "graph=torus:3x4", "latency=2 ms", "counts=[9,3]")
    known = prediction(verdict)
    assert {name: verdict["summary"][name] for name in known} == known
    assert "expected_samples_per_update" not in verdict["summary"]


def test_regions_that_drift_apart(tmp_path: Path) -> None:
    settings = ("agents=8", "regions=2", "latency=1 ms", "between=5 ms", "drift=20 ms")
    summary = run(tmp_path, *settings)["summary"]
    assert summary["asking_s"] >= summary["critical_trips"] * 2 * 0.001


@pytest.mark.slow
def test_a_thousand_agents_answer_as_the_formula_says(tmp_path: Path) -> None:
    """Within 3 %, over sockets, and exactly the samples of the simulation."""
    verdict = run(tmp_path, "agents=1000", "agents_per_process=125", "opinions=8", "latency=20 ms")
    summary = verdict["summary"]
    assert summary["samples_per_update"] == pytest.approx(summary["expected_samples_per_update"], rel=0.03)
    assert summary["samples"] == verdict["prediction"]["samples"]


@pytest.mark.slow
def test_256_agents_are_256_processes(tmp_path: Path) -> None:
    """Too many for their packets to be in time on a small machine, which changes no result."""
    verdict = run(tmp_path, "agents=256", "opinions=8", "latency=20 ms", "timeout=20 s")
    known = prediction(verdict)
    assert {name: verdict["summary"][name] for name in known} == known
    assert verdict["summary"]["round_fidelity"] == 1.0


def test_an_agent_that_dies_is_not_waited_for(tmp_path: Path) -> None:
    """Its neighbours ask others; when it comes back it catches up, and the run ends in consensus of all."""
    scenario = tmp_path / "crash.toml"
    scenario.write_text(
        'name = "crash"\nrecipe = "scenarios.plurality.recipe"\nagents = 8\nlatency = "30 ms"\ntimeout = "100 ms"\n'
        "counts = [4, 4]\n"
        '[[action]]\nat = "100 ms"\ndo = "crash"\nnodes = ["a3"]\n'
        '[[action]]\nat = "400 ms"\ndo = "restart"\nnodes = ["a3"]\n'
        '[fidelity]\nlateness_p99 = "500 ms"\n[rounds]\nfidelity = 0.5\n'
    )
    done = skyloom_in_time("run", scenario, "--no-tui", "--json", "--runs", tmp_path)
    summary = json.loads(done.stdout)["summary"]
    assert summary["consensus"], done.stderr
    assert summary["lost"] > 0

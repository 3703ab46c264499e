"""`skyloom run orbit-llm` with a tiny model: plans of several policies over satellites, their delays and figures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from fabric_sandbox import needs_sandbox
from skyloom_command import skyloom

from emulator.model.errors import EXIT_DATA
from emulator.record.load import load_run
from nodes.pipeline import command, profile
from nodes.pipeline.model import fetch
from nodes.pipeline.model.named import REAL, SYNTHETIC, sha256_of
from scenarios.orbit_llm import analysis

pytestmark = [pytest.mark.netns, pytest.mark.timeout(120), needs_sandbox]

OPTIONS = {
    "model": SYNTHETIC, "stages": "3", "memory": "10 MB", "cpu": "5 %", "answer_tokens": "4", "prompt_tokens": "64",
    "budget_nats": "0.1", "evaluate": "2", "isl.rate": "0.5", "baselines": '["fp16", "sequential"]',
    "fidelity.lateness_p99": "1 s", "cpu_kept": "0 %",
}  # fmt: skip


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory) -> Iterator[None]:
    """A cache with the calibration of the tiny model, and, as if it were one, of the real model that is cut off."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        command.calibrate(SYNTHETIC, windows=2, unit=1, chunk_tokens=32, limit="5 min")
        sha256 = sha256_of(SYNTHETIC)
        measured = profile.load(profile.cached_path(sha256), sha256)
        profile.save(profile.cached_path(fetch.MODEL_SHA256), replace(measured, model_sha256=fetch.MODEL_SHA256))
        fetch.cached_path().write_bytes(b"GGUF")
        yield


def run(runs: Path, **changes: str) -> CompletedProcess[str]:
    options = [word for key, value in (OPTIONS | changes).items() for word in ("--set", f"{key}={value}")]
    return skyloom("run", "orbit-llm", "--no-tui", "--runs", runs, *options)


@pytest.fixture(scope="module")
def folder(calibrated, tmp_path_factory) -> Path:
    runs = tmp_path_factory.mktemp("runs")
    ended = run(runs)
    assert ended.returncode == 0, ended.stderr + ended.stdout
    (found,) = runs.glob("orbit-llm/2*")
    return found


def test_each_policy_has_an_answer_and_a_prediction(folder):
    summary = json.loads((folder / "verdict.json").read_text())["summary"]
    assert (summary["answers"], summary["policy"], summary["baseline"]) == (3, "joint", "fp16")
    assert summary["rejected_messages"] == 0
    for policy in ("joint", "fp16", "sequential"):
        assert len(summary[policy]["stages"]) == 3
        assert summary[policy]["first_token_ms"] > 0.5 * summary[policy]["predicted_first_token_ms"]
    assert summary["delay_reduction"] == pytest.approx(
        1 - summary["joint"]["first_token_ms"] / summary["fp16"]["first_token_ms"], abs=1e-3
    )
    assert 0.3 < summary["traffic_reduction"] < 0.9
    assert summary["accuracy_loss_half"] >= 0
    assert summary["cpu_asked"] == pytest.approx(0.05)
    assert 0 < summary["cpu_delivered_least"] <= summary["cpu_delivered_most"] <= 0.06


def test_figures_are_drawn_of_it(folder):
    names = [each.name for each in analysis.figures(load_run(folder))]
    assert names == [*(f"pipeline-timeline-{policy}" for policy in ("joint", "fp16", "sequential")),
                     "pipeline-codecs", "orbit-llm-plan"]  # fmt: skip


def test_without_a_calibration_the_run_says_how_to_make_one(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    refused(run(tmp_path), "expected a profile: `skyloom llm calibrate` makes it")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"memory": "1 kB"}, "no plan by policy joint: in the way: memory ("),
        ({"answer_tokens": "1024"}, "the model's context"),
        ({"model": REAL}, "gguf: 4 bytes with SHA-256"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_before_the_run_begins(calibrated, tmp_path, changes, said):
    refused(run(tmp_path, **changes), said)


def refused(ended: CompletedProcess[str], why: str) -> None:
    said = ended.stdout + ended.stderr
    assert why in said
    assert "Traceback" not in said
    assert ended.returncode == EXIT_DATA

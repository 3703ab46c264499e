"""What a plan's codecs lose on text, measured when the run is over: the model in one process, with and without them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nodes.pipeline import plan_file, profile
from nodes.pipeline.codecs import store
from nodes.pipeline.judge import judge
from nodes.pipeline.model.named import load_named, sha256_of
from nodes.pipeline.stages.segment import plan_of

if TYPE_CHECKING:
    from emulator.record.load import Run
    from nodes.pipeline.observed import Request


def losses(run: Run, request: Request) -> dict[str, Any]:
    """Next-token accuracy (as a share) and nats a token that the plan loses against fp16, with 95 % intervals.

    On text like that of the calibration; empty where the scenario asks for no windows.
    """
    windows = int(run.parameters.get("evaluate", 0))
    if not windows:
        return {}
    model = str(run.parameters["model"])
    sha256 = sha256_of(model)
    measured = profile.load(profile.cached_path(sha256), sha256)
    plan = plan_file.plan_of(document(request.plan["stages"], sha256), measured)
    verdict = next(judge(load_named(model), plan, store.load(store.cached_path(sha256), sha256), windows, _quiet))
    accuracy, loss = verdict.change.accuracy_pp, verdict.change.loss_nat
    return {
        "accuracy_loss": round(-accuracy.mean / 100, 5),
        "accuracy_loss_half": round(accuracy.half / 100, 5),
        "loss_nats": round(loss.mean, 5),
        "loss_nats_half": round(loss.half, 5),
    }


def document(stages: list[str], sha256: str) -> dict[str, Any]:
    """A plan as files of plans have it. Satellites are numbered by stage."""
    segments = plan_of(stages).segments
    return {
        "model_sha256": sha256,
        "stages": [{"satellite": at, "first": each.first, "stop": each.stop} for at, each in enumerate(segments)],
        "crossings": [{"codec": each.codec, "token_codec": each.token_codec} for each in segments[:-1]],
    }


def _quiet(_words: str) -> None:
    """Nobody watches an analysis."""

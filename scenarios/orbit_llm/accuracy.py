"""What a plan's codecs lose on text, measured when the run is over: the model in one process, with and without them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nodes.pipeline import profile
from nodes.pipeline.codecs import store
from nodes.pipeline.judge import judge
from nodes.pipeline.model.named import load_named, sha256_of
from nodes.pipeline.planner.plan import Crossing, Plan, Stage
from nodes.pipeline.stages.segment import assignment_of

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
    plan = plan_of(request.plan["stages"], measured)
    verdict = next(judge(load_named(model), plan, store.load(store.cached_path(sha256), sha256), windows, _quiet))
    accuracy, loss = verdict.change.accuracy_pp, verdict.change.loss_nat
    return {
        "accuracy_loss": round(-accuracy.mean / 100, 5),
        "accuracy_loss_half": round(accuracy.half / 100, 5),
        "loss_nats": round(loss.mean, 5),
        "loss_nats_half": round(loss.half, 5),
    }


def plan_of(stages: list[str], measured: profile.Profile) -> Plan:
    """The planner's plan that the texts of a run's config tell of. Satellites are numbered by stage."""
    segments = assignment_of(stages).segments
    codecs = {each.name: each for each in measured.codecs}
    return Plan(
        tuple(Stage(at, each.first, each.stop) for at, each in enumerate(segments)),
        tuple(Crossing(codecs[each.codec], codecs[each.token_codec]) for each in segments[:-1]),
    )


def _quiet(_words: str) -> None:
    """Nobody watches an analysis."""

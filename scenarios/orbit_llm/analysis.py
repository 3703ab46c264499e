"""Figures of a run of `orbit-llm`: delays of the plan beside those of other policies, as measured and as predicted.

Invariant: nothing is compared that was not measured in this run; figures that a run did not come to are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nodes.pipeline.codecs.codec import HEADER
from nodes.pipeline.figures import figures as pipeline_figures
from nodes.pipeline.figures import observed
from nodes.pipeline.observed import Observed, Request
from scenarios.orbit_llm.accuracy import losses

if TYPE_CHECKING:
    import polars

    from emulator.record.load import Run
    from emulator.report.drawing import Drawing


def summarise(run: Run) -> dict[str, Any]:
    """Figures for `summary` of the verdict."""
    seen = observed(run)
    answered = {policy: each for policy, each in seen.requests.items() if each.answer}
    policies = list(seen.requests)
    summary: dict[str, Any] = {"answers": len(answered), "unanswered": len(policies) - len(answered)}
    if policies and policies[0] in answered:
        summary |= _headline(answered, policies) | losses(run, seen.requests[policies[0]])
    for policy, each in answered.items():
        summary[policy] = _measured(each)
    if failed := {policy: each.failed for policy, each in seen.requests.items() if each.failed}:
        summary["failed"] = failed
    if seen.refused:
        summary["no_plan"] = seen.refused
    return summary | _shares(seen) | {"rejected_messages": seen.rejected}


def figures(run: Run) -> list[Drawing]:
    """Drawings of one run."""
    from scenarios.orbit_llm import drawings

    return [*pipeline_figures(run), *drawings.plan(run, observed(run))]


def sweep_figures(table: polars.DataFrame) -> list[Drawing]:
    """Delay over rate for all policies, where the rate was swept."""
    from scenarios.orbit_llm import drawings

    return drawings.delays(table)


def _headline(answered: dict[str, Request], policies: list[str]) -> dict[str, Any]:
    """The chosen plan against the first of the others that has an answer."""
    chosen = answered[policies[0]]
    delay_s = chosen.answer["first_token_s"]
    figures: dict[str, Any] = {
        "policy": policies[0],
        "delay_ms": _ms(delay_s),
        "text": " ".join(chosen.answer["text"].split()),
    }
    errors = [abs(_error(each)) for each in answered.values()]
    figures |= {"prediction_error": round(max(errors), 4), "traffic_reduction": round(_saved(chosen), 4)}
    baseline = next((policy for policy in policies[1:] if policy in answered), None)
    if baseline is None:
        return figures
    baseline_s = answered[baseline].answer["first_token_s"]
    figures |= {
        "baseline": baseline,
        "baseline_delay_ms": _ms(baseline_s),
        "delay_reduction": round(1 - delay_s / baseline_s, 4),
        "same_text": all(each.answer["text"] == chosen.answer["text"] for each in answered.values()),
    }
    return figures


def _saved(request: Request) -> float:
    """Bytes of activations that its codecs saved, against fp16 at the same cuts."""
    plain = sum(HEADER.size + chunk.tokens * request.plan["row_bytes"] for chunk in request.sent)
    return 1 - request.sent_bytes / plain if plain else 0.0


def _measured(request: Request) -> dict[str, Any]:
    answer, plan = request.answer, request.plan
    tokens = int(answer["tokens"])
    further_s = (answer["total_s"] - answer["first_token_s"]) / (tokens - 1) if tokens > 1 else None
    figures = {
        "stages": list(plan["stages"]),
        "first_token_ms": _ms(answer["first_token_s"]),
        "predicted_first_token_ms": _ms(plan["first_token_s"]),
        "prediction_error": round(_error(request), 4),
        "total_ms": _ms(answer["total_s"]),
        "sent_bytes": request.sent_bytes,
        "predicted_loss_nats": round(plan["loss_nats"], 5),
        "epochs": int(answer["epochs"]),
    }
    if further_s is not None:
        figures |= {"token_ms": _ms(further_s), "predicted_token_ms": _ms(plan["token_s"])}
    return figures


def _error(request: Request) -> float:
    """Of the first token: measured over predicted, less one."""
    measured_s: float = request.answer["first_token_s"]
    return measured_s / float(request.plan["first_token_s"]) - 1


def _shares(seen: Observed) -> dict[str, Any]:
    if not seen.shares:
        return {}
    delivered = [float(each["delivered"]) for each in seen.shares.values()]
    asked = max(float(each["asked"]) for each in seen.shares.values())
    return {
        "cpu_asked": asked,
        "cpu_delivered_least": round(min(delivered), 4),
        "cpu_delivered_most": round(max(delivered), 4),
        "cpu_kept": round(min(delivered) / asked, 4),
    }


def _ms(seconds: float) -> float:
    return round(seconds * 1e3, 1)

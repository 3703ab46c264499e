"""What `skyloom llm` says, as lines of text and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from statistics import median
from typing import Any

from emulator.model.printable import aligned
from nodes.pipeline.codecs.evaluation import Interval
from nodes.pipeline.judge import Verdict
from nodes.pipeline.planner.plan import Plan, Terms
from nodes.pipeline.planner.policies import PLAIN, Chosen
from nodes.pipeline.planner.problem import Problem
from nodes.pipeline.profile import Profile, cuts_of
from nodes.pipeline.proposal import Proposal


def calibration(profile: Profile) -> list[str]:
    """A line for the model, and one for each codec."""
    chunk, token = profile.chunk, profile.token
    plain_bytes = next(codec.size_bytes for codec in profile.codecs if codec.name == PLAIN)
    cuts = cuts_of(profile.blocks, profile.unit)
    rows = [
        ("codec", "bytes a chunk", "fewer", "ms to encode + decode", "… one token", "nats lost at cuts: median", "most")
    ]
    for codec in profile.codecs:
        losses = [codec.loss_nats[cut - 1] for cut in cuts]
        rows.append(
            (
                codec.name,
                f"{codec.size_bytes:,.0f}",
                f"{1 - codec.size_bytes / plain_bytes:.1%}",
                f"{1e3 * codec.encode_s:.2f} + {1e3 * codec.decode_s:.2f}",
                f"{1e3 * codec.token_encode_s:.2f} + {1e3 * codec.token_decode_s:.2f}",
                f"{median(losses):.4f}",
                f"{max(losses):.4f}",
            )
        )
    return [
        f"{profile.blocks} blocks, {len(cuts)} cuts measured, {profile.windows} windows of text",
        f"a block takes {1e3 * chunk.block_s:.2f} ms for a chunk of {chunk.tokens} tokens, "
        f"{1e3 * token.block_s:.2f} ms for one; the head {1e3 * token.head_s:.2f} ms",
        *_table(rows),
    ]


def proposal(found: Proposal) -> list[str]:
    """A plan, its delay in terms, the other policies, and what constraints cost."""
    problem, chosen = found.problem, found.chosen
    lines = [
        f"policy {chosen.policy}, {problem.chunks} chunks of {problem.chunk.tokens} tokens, "
        f"{problem.answer_tokens} of answer",
        *_table(_stages(problem, chosen.plan, chosen.terms)),
        *_delay(chosen),
        f"codecs may cost {chosen.terms.loss_nats:.4f} of {problem.budget_nats:g} nat "
        f"({problem.kappa:g} times the sum over cuts)",
        "",
        *_table(_policies(found)),
    ]
    if found.costs:
        lines += ["", *_table(_constraints(found))]
    return lines


def _stages(problem: Problem, plan: Plan, terms: Terms) -> Iterator[tuple[str, ...]]:
    yield ("satellite", "blocks", "busy a chunk", "codec, of answers", "bytes a chunk", "on the link", "delay")
    for number, stage in enumerate(plan.stages):
        row = (
            problem.satellites[stage.satellite].name,
            f"{stage.first}-{stage.stop - 1}",
            f"{1e3 * terms.stage_s[number]:.0f} ms",
        )
        if number == len(plan.crossings):
            yield (*row, "", "", "", "")
            return
        crossing = plan.crossings[number]
        names = crossing.codec.name
        if problem.answer_tokens > 1:
            names += f", {crossing.token_codec.name}"
        sent = f"{1e3 * terms.link_s[number]:.0f} ms", f"{1e3 * terms.delay_s[number]:.0f} ms"
        yield (*row, names, f"{crossing.codec.size_bytes:,.0f}", *sent)


def _delay(chosen: Chosen) -> Iterator[str]:
    terms = chosen.terms
    further = terms.chunks - 1
    if chosen.overlaps:
        made_of = f"fill {terms.fill_s:.3f} s + {further} x {terms.busiest_s:.3f} s, the busiest of stages and links"
    else:
        made_of = f"{terms.chunks} x {terms.fill_s:.3f} s, one chunk after another"
    yield f"first token {chosen.first_token_s:.3f} s = {made_of}, + {terms.returning_s:.3f} s back"
    if terms.answer_tokens > 1:
        yield f"answer {chosen.total_s:.3f} s = first token + {terms.answer_tokens - 1} x {terms.token_s:.3f} s"


def _policies(found: Proposal) -> Iterator[tuple[str, ...]]:
    answers = found.problem.answer_tokens > 1
    yield ("policy", "stages", "first token", *(["answer"] if answers else []), "bytes sent", "nats", "")
    for policy, each in {found.chosen.policy: found.chosen, **found.others}.items():
        if isinstance(each, str):
            yield (policy, "", "", *([""] if answers else []), "", "", each)
            continue
        total = [f"{each.total_s:.3f} s"] if answers else []
        over = "beyond the budget" if each.terms.loss_nats > found.problem.budget_nats else ""
        yield (
            policy, str(len(each.plan.stages)), f"{each.first_token_s:.3f} s", *total, f"{each.terms.sent_bytes:,.0f}",
            f"{each.terms.loss_nats:.4f}", over,
        )  # fmt: skip


def _constraints(found: Proposal) -> Iterator[tuple[str, ...]]:
    yield ("constraint", "costs", "delay without it")
    for cost in found.costs:
        if cost.without_s is None:
            yield (cost.constraint, "?", "no plan that is found")
        else:
            yield (
                cost.constraint,
                f"{max(0.0, found.chosen.total_s - cost.without_s):.3f} s",
                f"{cost.without_s:.3f} s",
            )


def document(found: Proposal) -> dict[str, Any]:
    """The same as `proposal`. Delays of constraints are those of the whole request."""
    problem = found.problem
    others = {
        policy: {"none": each} if isinstance(each, str) else _predicted(each) for policy, each in found.others.items()
    }
    return {
        "policy": found.chosen.policy,
        "satellites": [
            {"name": each.name, "cores": each.speed, "memory_bytes": each.memory_bytes} for each in problem.satellites
        ],
        "chunks": problem.chunks,
        "chunk_tokens": problem.chunk.tokens,
        "answer_tokens": problem.answer_tokens,
        "budget_nats": problem.budget_nats,
        "predicted": _predicted(found.chosen),
        "others": others,
        "constraints": [{"constraint": each.constraint, "without_s": each.without_s} for each in found.costs],
    }


def _predicted(chosen: Chosen) -> dict[str, Any]:
    terms = chosen.terms
    return {
        "first_token_s": chosen.first_token_s,
        "total_s": chosen.total_s,
        "fill_s": terms.fill_s,
        "busiest_s": terms.busiest_s,
        "returning_s": terms.returning_s,
        "token_s": terms.token_s,
        "stage_s": terms.stage_s,
        "link_s": terms.link_s,
        "delay_s": terms.delay_s,
        "sent_bytes": terms.sent_bytes,
        "loss_nats": terms.loss_nats,
        "overlaps": chosen.overlaps,
    }


def verdicts(found: Sequence[Verdict]) -> list[str]:
    """A line for each text, and each set of codecs."""
    rows = [
        (
            "text",
            "codecs of",
            "predictions",
            "perplexity",
            "",
            "accuracy",
            "pp",
            "nats lost",
            "cuts one by one",
            "same guesses",
        )
    ]
    for each in found:
        lost = each.change
        rows.append(
            (
                each.text,
                f"{each.of}: {', '.join(each.codecs) or 'none, one stage'}",
                f"{lost.predictions:,}",
                f"{each.perplexity:.2f}",
                f"{lost.perplexity_percent:+.2f} %",
                f"{each.accuracy:.2%}",
                str(lost.accuracy_pp),
                f"{lost.loss_nat.mean:+.4f} ± {lost.loss_nat.half:.4f}",
                f"{each.expected_nats:.4f}",
                f"{lost.agreement:.1%}",
            )
        )
    return _table(rows)


def judged(found: Sequence[Verdict]) -> dict[str, Any]:
    """The same as `verdicts`; `half` is the half width of a 95 % interval."""
    return {
        "texts": [
            {
                "text": each.text,
                "of": each.of,
                "codecs": each.codecs,
                "predictions": each.change.predictions,
                "fp16_perplexity": each.perplexity,
                "fp16_accuracy": each.accuracy,
                "perplexity_percent": each.change.perplexity_percent,
                "accuracy_pp": _interval(each.change.accuracy_pp),
                "loss_nats": _interval(each.change.loss_nat),
                "expected_nats": each.expected_nats,
                "agreement": each.change.agreement,
            }
            for each in found
        ]
    }


def _interval(found: Interval) -> dict[str, float]:
    return {"mean": found.mean, "half": found.half}


def _table(rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a table, whose first row is its head."""
    head, *others = rows
    return aligned(head, others).splitlines()

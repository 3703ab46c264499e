"""`skyloom llm calibrate|plan|evaluate`: a model measured, shared between satellites, and judged with what that loses.

Invariant: standard output holds the answer only, as text or, with `--json`, as one JSON document; progress goes to
standard error.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Annotated, Any

import typer

from emulator.model.errors import UsageError
from emulator.model.units import parse, show
from nodes.pipeline import plan_file, profile, report
from nodes.pipeline.cache import make_cache_folder
from nodes.pipeline.calibrate import MOST_WINDOWS
from nodes.pipeline.calibrate import calibrate as calibrated
from nodes.pipeline.codecs import store
from nodes.pipeline.judge import judge
from nodes.pipeline.model.llama import Shape
from nodes.pipeline.model.named import REAL, SYNTHETIC, load_named, sha256_of
from nodes.pipeline.planner.policies import POLICIES
from nodes.pipeline.planner.problem import MOST_SATELLITES, Satellite
from nodes.pipeline.proposal import propose

Model = Annotated[str, typer.Option(help=f"{REAL}, or {SYNTHETIC}: a tiny one with random weights, for tests.")]
LEAST_SHARE = 1e-4
BOUNDS = {"rate": (1.0, 1e15), "duration": (1e-9, 1e6)}
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def calibrate(
    model: Model = REAL,
    windows: Annotated[
        int, typer.Option(min=2, max=MOST_WINDOWS, help="Windows of 256 tokens on which losses are measured.")
    ] = 3,
    unit: Annotated[int, typer.Option(min=1, max=64, help="Measure cuts at multiples of so many blocks.")] = 2,
    chunk_tokens: Annotated[int, typer.Option(min=1, max=128, help="Tokens of a chunk of the prompt.")] = 32,
    limit: Annotated[str, typer.Option(help="Begin nothing that would not be done by then.")] = "20 min",
) -> None:
    """Measure a model on this machine, and keep it for `plan` and `evaluate`: times, and what codecs lose at cuts.

    Some minutes for the real model. Times are processor time of one core.
    """
    sha256, limit_s = sha256_of(model), _quantity(limit, "duration", "--limit")
    make_cache_folder()
    gguf = load_named(model)
    if unit >= (blocks := Shape.of(gguf).blocks):
        raise UsageError(f"--unit {unit}; expected a unit below {blocks}, the blocks of the model")
    measured, statistics = calibrated(
        gguf,
        sha256,
        windows_asked=windows,
        unit=unit,
        chunk_tokens=chunk_tokens,
        limit_s=limit_s,
        tell=_tell,
    )
    store.save(store.cached_path(sha256), sha256, statistics)
    profile.save(profile.cached_path(sha256), measured)
    _print(report.calibration(measured))
    typer.echo(
        f"kept in {profile.cached_path(sha256)}, statistics of cuts beside it; load average {os.getloadavg()[0]:.1f}"
    )


def plan(
    satellites: Annotated[int, typer.Option(min=1, max=MOST_SATELLITES, help="Satellites in the ring.")],
    budget: Annotated[float, typer.Option(min=0, help="Nats a token that codecs of all cuts may cost together.")],
    stages: Annotated[int | None, typer.Option(min=1, help="So many stages; else as many as are best.")] = None,
    rate: Annotated[str, typer.Option(help="Of each link of the ring.")] = "1 Mbit/s",
    delay: Annotated[str, typer.Option(help="Of each link of the ring.")] = "10 ms",
    cpu: Annotated[str, typer.Option(help="Share of a core: one for all, or one each, with commas.")] = "25 %",
    memory: Annotated[str, typer.Option(help="Of a satellite: one for all, or one each, with commas.")] = "unlimited",
    prompt_tokens: Annotated[int, typer.Option(min=1, help="Tokens of the prompt.")] = 256,
    answer_tokens: Annotated[int, typer.Option(min=1, help="Tokens of the answer.")] = 1,
    policy: Annotated[str, typer.Option(help=f"{', '.join(POLICIES)}.")] = "joint",
    model: Model = REAL,
    as_json: AsJson = False,
) -> None:
    """The cuts, satellites and codecs of least delay for one request, by what `calibrate` measured on this machine.

    Assumed: satellites in a ring whose links are equal, hold still, and carry nothing else; the first one has the
    prompt, and tokens come back to it; between two that are not neighbours each further hop adds its delay and the
    time of a packet; each satellite holds all weights, as float32, as far as its memory goes. Nothing is run.
    """
    shares = _each(cpu, "share", "--cpu", satellites)
    sizes = _each(memory, "size", "--memory", satellites)
    if not all(LEAST_SHARE <= share <= 1 for share in shares):
        raise UsageError(f"--cpu {cpu!r}; expected {LEAST_SHARE * 100:g} % to 100 % of one core")
    if not isfinite(budget):
        raise UsageError(f"--budget {budget}; expected nats, 0 or more")
    rate_bps = _quantity(rate, "rate", "--rate")
    delay_s = _quantity(delay, "duration", "--delay")
    if policy not in POLICIES:
        raise UsageError(f"--policy {policy!r}; expected one of {', '.join(POLICIES)}")
    measured = profile.load(profile.cached_path(sha256 := sha256_of(model)), sha256)
    nodes = [Satellite(f"s{at}", *each) for at, each in enumerate(zip(shares, sizes, strict=True))]
    try:
        problem = profile.problem_of(
            measured,
            nodes,
            profile.ring(nodes, delay_s, rate_bps),
            prompt_tokens=prompt_tokens,
            answer_tokens=answer_tokens,
            budget_nats=budget,
            stages=stages,
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
    found = propose(problem, policy)
    if as_json:
        document = {
            "plan": plan_file.document_of(found.chosen.plan, measured),
            "ring": {"rate_bps": rate_bps, "delay_s": delay_s},
        }
        _print_json(document | report.document(found))
    else:
        _print(report.proposal(found))


def evaluate(
    plan: Annotated[Path, typer.Option(metavar="PLAN.json", help="What `skyloom llm plan --json` printed.")],
    windows: Annotated[int, typer.Option(min=2, max=24, help="Windows of 256 tokens of each text.")] = 4,
    model: Model = REAL,
    as_json: AsJson = False,
) -> None:
    """Perplexity and next-token accuracy with the codecs of a plan, against fp16 at the same cuts, paired by window.

    Texts: `docs` is like that of the calibration, `fortunes` is a domain that it never saw. Intervals are of 95 %.
    """
    sha256 = sha256_of(model)
    measured = profile.load(profile.cached_path(sha256), sha256)
    asked = plan_file.read_plan(plan, measured)
    statistics = store.load(store.cached_path(sha256), sha256)
    verdicts = list(judge(load_named(model), asked, statistics, windows, _tell))
    if as_json:
        _print_json(report.judged(verdicts))
    else:
        _print(report.verdicts(verdicts))


def _quantity(words: str, kind: str, option: str) -> float:
    """In SI units, within bounds in which no delay of a plan is without end."""
    value, (least, most) = _parsed(words, kind, option), BOUNDS[kind]
    if not least <= value <= most:
        raise UsageError(f"{option} {words!r}; expected {show(least, kind)} to {show(most, kind)}")
    return value


def _each(words: str, kind: str, option: str, count: int) -> list[float]:
    """A value for each satellite."""
    values = [_parsed(word, kind, option) for word in words.split(",")]
    if len(values) not in (1, count):
        raise UsageError(f"{option} has {len(values)} values; expected one, or {count}, one for each satellite")
    return values * count if len(values) == 1 else values


def _parsed(words: str, kind: str, option: str) -> float:
    try:
        return parse(words, kind)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def _tell(words: str) -> None:
    typer.echo(words, err=True)


def _print_json(document: dict[str, Any]) -> None:
    typer.echo(json.dumps(_finite(document), allow_nan=False))


def _finite(value: Any) -> Any:
    """The same, with null where a number has no end: JSON has none of those."""
    match value:
        case dict():
            return {key: _finite(each) for key, each in value.items()}
        case list() | tuple():
            return [_finite(each) for each in value]
        case float():
            return value if isfinite(value) else None
    return value


def _print(lines: Sequence[str]) -> None:
    typer.echo("\n".join(lines))

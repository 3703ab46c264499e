"""Recipe of the scenario `orbit-llm`: a ring of satellites, a stage on each, and one asks by a plan of each policy.

Invariant: what is planned with is what the links play: delays of ways are those of the schedule, at their worst.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from emulator.model.tables import ParameterError, RecipeOptions, Table
from emulator.model.units import Duration, Rate, Share, Size, show
from nodes.pipeline.model.named import Name
from scenarios.orbit_llm.constellation import ring, ways

ANALYSIS = "scenarios.orbit_llm.analysis"
STAGE = "nodes.pipeline.stages.process:Stage"
MOST_SATELLITES = 12  # in the ring
MOST_SPARES = 4
QUEUE = "256 kB"  # of a link: all that a stage may have on the way, so that nothing is lost
STATION = "madrid"  # the topology wants one; it takes no part
LATE = "10 ms"  # packets may leave this late (p99): stages keep most of a small machine busy

Policy = Literal["joint", "fp16", "int8", "sequential", "edgeshard", "memory-proportional"]


def _with_unit(rate: Any) -> Any:
    return f"{rate} Mbit/s" if isinstance(rate, int | float) and not isinstance(rate, bool) else rate


class Isl(Table):
    """Links between satellites."""

    rate_bps: Annotated[Rate, BeforeValidator(_with_unit)] = 1e6
    """Rate of each direction. A bare number is in Mbit/s."""


class Parameters(Table):
    """What can be set of the scenario `orbit-llm`."""

    prompt: str = ""
    """The text to go on with; by default `prompt_tokens` tokens of a text that no calibration has seen."""
    prompt_tokens: Annotated[int, Field(ge=1, le=4096)] = 256
    """Length of the default prompt."""
    answer_tokens: Annotated[int, Field(ge=1, le=1024)] = 24
    """Tokens of the answer, at most. Plans are those of the least time for prompt and answer together."""
    satellites: Annotated[int, Field(ge=1, le=MOST_SATELLITES)] | None = None
    """Satellites in the ring; by default 4, or `stages` where that is more."""
    spares: Annotated[int, Field(ge=0, le=MOST_SPARES)] = 1
    """Further satellites next to the ring. Plans leave them out; one takes over where a satellite is lost."""
    stages: Annotated[int, Field(ge=1, le=MOST_SATELLITES)] | None = None
    """Stages of each plan; by default as many as are best."""
    policy: Policy = "joint"
    """How cuts, satellites and codecs are chosen: as in `skyloom llm plan`."""
    baselines: tuple[Policy, ...] = ("fp16", "sequential")
    """Policies whose plans are asked for the same text afterwards. Figures compare with the first of them."""
    crash_s: Duration | None = None
    """Scenario time at which the second satellite of the ring dies, for good."""
    isl: Isl = Field(default_factory=lambda: Isl.model_validate({}))
    """Links between satellites."""
    cpu: Share = 0.25
    """Share of a core that each satellite has."""
    cpu_kept: Share = 0.9
    """Part of that share that each must get for the run to pass: times of a machine that is too busy mean nothing."""
    memory_bytes: Size | None = None
    """Memory of each satellite for weights (as float32), keys and values; by default as much as is wanted."""
    budget_nats: Annotated[float, Field(ge=0)] = 0.02
    """Nats a token that codecs of all cuts may cost together, by the calibration."""
    model: Name = "smollm2"
    """SmolLM2-135M-Instruct, or a tiny model with random weights, whose text and figures mean nothing."""
    evaluate: Annotated[int, Field(ge=0, le=24)] = 4
    """Windows of 256 tokens on which the analysis measures what the plan's codecs lose, at least 2; 0: none."""


def compose(parameters: Parameters, options: RecipeOptions) -> dict[str, Any]:
    """The scenario's data. ParameterError names the parameter that cannot be."""
    count = parameters.satellites or max(4, parameters.stages or 0)
    _check(parameters, count)
    tables = {
        "shell": {"preset": "starlink-1"},
        "isl": {"rate": show(parameters.isl.rate_bps, "rate"), "queue": QUEUE},
        "ground": {"stations": [STATION]},
    }
    satellites, spares = ring(tables, count, parameters.spares)
    source, *others = (*satellites, *spares)
    common = {"nodes": [source, *others], "model": parameters.model, "cpu": show(parameters.cpu, "share")}
    if parameters.memory_bytes is not None:
        common["memory"] = show(parameters.memory_bytes, "size")
    asks = common | _asks(parameters) | {"ways": [str(way) for way in ways(tables, satellites)]}
    programs = [{"name": "prompt", "nodes": [source], "run": "scenarios.orbit_llm.asking:Asking", "config": asks}]
    if others:
        config = common | {"source": source}
        programs.append({"name": "stage", "nodes": others, "run": STAGE, "config": config})
    scenario = {
        "analysis": ANALYSIS,
        "topology": "topologies.leo",
        "materialise": [source, *others],
        "ends": "programs",
        **tables,
        "fidelity": {"lateness_p99": LATE},
        "program": programs,
        "expect": [
            {"figure": "summary.answers", "at_least": 1},
            {"figure": "summary.unanswered", "equals": 0},
            {"figure": "summary.cpu_kept", "at_least": parameters.cpu_kept},
        ],
    }
    if parameters.crash_s is not None:
        scenario["action"] = [{"at": show(parameters.crash_s, "duration"), "do": "crash", "nodes": satellites[1:2]}]
    return scenario


def _asks(parameters: Parameters) -> dict[str, Any]:
    """What is asked, and by which plans."""
    asks: dict[str, Any] = {
        "text": parameters.prompt,
        "prompt_tokens": parameters.prompt_tokens,
        "answer_tokens": parameters.answer_tokens,
        "policies": list(dict.fromkeys((parameters.policy, *parameters.baselines))),
        "budget_nats": parameters.budget_nats,
    }
    return asks | ({"stages": parameters.stages} if parameters.stages else {})


def _check(parameters: Parameters, count: int) -> None:
    if not 0 < parameters.cpu <= 1:
        raise ParameterError("cpu", show(parameters.cpu, "share"), "more than 0 % and at most 100 %, of one core")
    if not parameters.isl.rate_bps:
        raise ParameterError("isl.rate", show(0.0, "rate"), "more than 0 bit/s")
    if parameters.stages is not None and parameters.stages > count:
        raise ParameterError("stages", str(parameters.stages), f"at most {count}, a satellite each")
    if parameters.crash_s is not None and count == 1:
        raise ParameterError("crash", show(parameters.crash_s, "duration"), "two satellites in the ring, at least")
    if parameters.evaluate == 1:
        raise ParameterError("evaluate", "1", "0, or 2 and more: an interval needs two")

"""A plan as JSON, in the document that `skyloom llm plan --json` prints, and back.

    {"plan": {"model_sha256": "…",
              "stages": [{"satellite": 0, "first": 0, "stop": 14}, {"satellite": 1, "first": 14, "stop": 30}],
              "crossings": [{"codec": "klt4", "token_codec": "fp16"}]}, …}

Invariant: what is read is a plan for the model of the profile: its stages follow on from the first block to the last,
on satellites that differ, its cuts were measured, and its codecs are those of the profile.
"""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import Any

from emulator.model.errors import DataError, Unfit
from emulator.model.inputs import parse_json, read_text
from nodes.pipeline.documents import Fields
from nodes.pipeline.planner.plan import Crossing, Plan, Stage
from nodes.pipeline.planner.problem import MOST_SATELLITES, CodecCost
from nodes.pipeline.profile import Profile

MOST_BYTES = 1_000_000


def document_of(plan: Plan, profile: Profile) -> dict[str, Any]:
    """The value of `plan`."""
    return {
        "model_sha256": profile.model_sha256,
        "stages": [{"satellite": each.satellite, "first": each.first, "stop": each.stop} for each in plan.stages],
        "crossings": [
            {"codec": each.codec.name, "token_codec": each.token_codec.name} for each in plan.crossings
        ],
    }  # fmt: skip


def read_plan(path: Path, profile: Profile) -> Plan:
    """The plan of a file. DataError, with the path, where there is none that fits the profile."""
    try:
        document = parse_json(read_text(path, MOST_BYTES))
        if not isinstance(document, dict) or "plan" not in document:
            raise Unfit("no `plan`", "what `skyloom llm plan --json` prints")
        return plan_of(document["plan"], profile)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; expected what `skyloom llm plan --json` prints") from None
    except ValueError as error:
        raise DataError(f"{path}: {error}") from None


def plan_of(document: Any, profile: Profile) -> Plan:
    """The plan that a value of `plan` tells of. Unfit names the place."""
    fields = Fields(document, "plan")
    if (found := fields.text("model_sha256")) != profile.model_sha256:
        raise Unfit(f"a plan for the model with SHA-256 {found[:80]}", profile.model_sha256)
    stages = tuple(_stage(each, profile.blocks) for each in fields.objects("stages", MOST_SATELLITES))
    codecs = {codec.name: codec for codec in profile.codecs}
    crossings = tuple(_crossing(each, codecs) for each in fields.objects("crossings", MOST_SATELLITES))
    fields.end()
    borders = [0, *(stage.stop for stage in stages)]
    if [stage.first for stage in stages] != borders[:-1] or borders[-1] != profile.blocks:
        raise Unfit(f"stages that end at {borders[1:]}", f"stages that follow on, from block 0 to {profile.blocks}")
    if len({stage.satellite for stage in stages}) < len(stages):
        raise Unfit("two stages on one satellite", "one on each")
    if len(crossings) != len(stages) - 1:
        raise Unfit(f"{len(crossings)} crossings between {len(stages)} stages", f"{len(stages) - 1}")
    for stage in stages[:-1]:
        if not isfinite(profile.codecs[0].loss_nats[stage.stop - 1]):
            raise Unfit(f"a cut after block {stage.stop}", f"multiples of {profile.unit}, which were calibrated")
    return Plan(stages, crossings)


def _stage(fields: Fields, blocks: int) -> Stage:
    satellite = fields.whole("satellite", 0, MOST_SATELLITES - 1)
    first = fields.whole("first", 0, blocks - 1)
    stage = Stage(satellite, first, fields.whole("stop", first + 1, blocks))
    fields.end()
    return stage


def _crossing(fields: Fields, codecs: dict[str, CodecCost]) -> Crossing:
    names = fields.text("codec"), fields.text("token_codec")
    fields.end()
    for name in names:
        if name not in codecs:
            raise Unfit(f"codec {name[:40]!r}", f"one of {', '.join(codecs)}, which were calibrated")
    return Crossing(*(codecs[name] for name in names))

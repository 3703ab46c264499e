"""Profiles and plans as files: what is written is read, whatever else is there is refused; problems of a profile."""

import json
from dataclasses import replace
from math import inf
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some
from pipeline_problems import fits

from emulator.model.errors import DataError, Unfit
from nodes.pipeline.plan_file import document_of, plan_of, read_plan
from nodes.pipeline.planner.problem import CodecCost, Satellite, Work
from nodes.pipeline.planner.search import best
from nodes.pipeline.profile import Memory, Profile, load, losses_by_cut, problem_of, ring, save

MODEL = "ab" * 32


def codec(name: str, size_bytes: float, loss_nats: float) -> CodecCost:
    losses = losses_by_cut(6, 2, [loss_nats, 2 * loss_nats])
    return CodecCost(name, 1e-3, 1e-3, size_bytes, 1e-4, 1e-4, size_bytes / 32, losses)


PROFILE = Profile(
    model_sha256=MODEL,
    blocks=6,
    context_tokens=256,
    unit=2,
    windows=3,
    chunk=Work(32, 4e-3, 1e-3),
    token=Work(1, 1e-3, 1e-3),
    codecs=(codec("fp16", 36_000, 0.0), codec("klt4", 10_000, 1e-3)),
    memory=Memory(block_weights=1000, block_token=1, embedding=500, head=700),
)


def problem(**asked):
    satellites = [Satellite(f"s{at}", 0.1) for at in range(3)]
    return problem_of(PROFILE, satellites, ring(satellites, 0.01, 1e6), **{"prompt_tokens": 100} | asked)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "profile.json"
    save(path, PROFILE)
    return path


def test_what_is_written_is_read(path):
    assert load(path, MODEL) == PROFILE


def test_cuts_that_were_not_measured_have_no_finite_loss():
    assert PROFILE.codecs[1].loss_nats == (inf, 1e-3, inf, 2e-3, inf)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"blocks": 0}, "blocks is 0; expected a whole number, 1 to 1,024"),
        ({"blocks": 8}, r"codecs\[0\].loss_nats has 2 numbers; expected 3"),
        ({"unit": True}, "unit is true"),
        ({"chunk": 3}, "chunk is 3; expected an object"),
        ({"chunk": {"tokens": 32, "block_s": -1, "head_s": 0}}, "chunk.block_s is -1; expected a number, 0 to"),
        ({"chunk": {"tokens": 32, "block_s": 1, "head_s": 0, "x": 1}}, "chunk.x; expected no field of that name"),
        ({"codecs": []}, "codecs that are none"),
        ({"codecs": [3]}, r"codecs\[0\] is 3"),
        ({"memory": {}}, "memory without `block_weights`"),
        ({"model_sha256": "cd" * 32}, "a profile of the model with SHA-256 cdcd"),
    ],
)
def test_other_values_are_refused(path, change, said):
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DataError, match=said) as error:
        load(path, MODEL)
    assert str(path) in str(error.value)
    assert "calibrate again" in str(error.value)


def test_no_profile_says_how_to_make_one(tmp_path):
    with pytest.raises(DataError, match="skyloom llm calibrate"):
        load(tmp_path / "none", MODEL)


JSON = some.recursive(
    some.none() | some.booleans() | some.integers(-2, 7) | some.floats() | some.text(max_size=3),
    lambda inner: (
        some.lists(inner, max_size=3)
        | some.dictionaries(some.sampled_from(["model_sha256", "stages", "crossings", "first", "codec"]), inner)
    ),
    max_leaves=8,
)


@given(JSON)
def test_any_document_is_a_plan_or_refused(document):
    try:
        plan_of(document, PROFILE)
    except Unfit:
        return
    pytest.fail("no document that has no hash is a plan")


def test_a_plan_is_read_as_it_was_written(tmp_path):
    found = best(problem(stages=3, budget_nats=1, prompt_tokens=96)).plan  # whole chunks, as measured
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({"plan": document_of(found, PROFILE)}))
    assert read_plan(path, PROFILE) == found
    assert len(found.crossings) == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_sha256": "cd" * 32}, "a plan for the model with SHA-256 cdcd"),
        ({"stages": []}, r"stages that end at \[\]; expected stages that follow on, from block 0 to 6"),
        ({"stages": [{"satellite": 0, "first": 0, "stop": 7}]}, r"stages\[0\].stop is 7"),
        ({"stages": [{"satellite": 64, "first": 0, "stop": 6}]}, r"stages\[0\].satellite is 64"),
        ({"crossings": []}, "0 crossings between 2 stages; expected 1"),
        ({"crossings": [{"codec": "zip", "token_codec": "fp16"}]}, "codec 'zip'; expected one of fp16, klt4"),
        ({"more": 1}, "plan.more; expected no field"),
    ],
)
def test_other_plans_are_refused(tmp_path, change, said):
    plan = document_of(best(problem(stages=2)).plan, PROFILE)
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({"plan": plan | change}))
    with pytest.raises(DataError, match=said):
        read_plan(path, PROFILE)


def test_a_plan_with_a_satellite_twice_or_an_odd_cut_is_refused():
    def stages(*borders: int, satellites: tuple[int, ...]) -> dict:
        ends = zip((0, *borders), (*borders, 6), satellites, strict=True)
        return {
            "model_sha256": MODEL,
            "stages": [{"satellite": each, "first": first, "stop": stop} for first, stop, each in ends],
            "crossings": [{"codec": "fp16", "token_codec": "fp16"}] * len(borders),
        }

    assert len(plan_of(stages(2, 4, satellites=(0, 2, 1)), PROFILE).stages) == 3
    with pytest.raises(Unfit, match="two stages on one satellite"):
        plan_of(stages(2, 4, satellites=(0, 1, 0)), PROFILE)
    with pytest.raises(Unfit, match="a cut after block 3; expected multiples of 2"):
        plan_of(stages(3, satellites=(0, 1)), PROFILE)


def of_memory(*sizes_bytes: float) -> list[Satellite]:
    return [Satellite(f"s{at}", 0.1, size_bytes) for at, size_bytes in enumerate(sizes_bytes)]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("answer_tokens", [1, 20])
def test_a_ring_of_equal_satellites_has_the_ways_of_its_best_plan(count, answer_tokens):
    equal, alike = of_memory(*[1e12] * count), of_memory(*[1e12] * (count - 1), 2e12)
    found = [
        best(problem_of(PROFILE, each, ring(each, 0.05, 1e6), prompt_tokens=100, answer_tokens=answer_tokens)).delay_s
        for each in (equal, alike)
    ]
    assert found[0] == pytest.approx(found[1])
    assert len(ring(equal, 0.05, 1e6)) < max(2, len(ring(alike, 0.05, 1e6))) or count < 3


def test_ways_of_a_ring_add_delay_and_a_packet_a_hop():
    links = ring(of_memory(inf, 1e12, inf, inf, inf), 0.01, 1e6)
    assert len(links) == 20
    assert links[4, 0].crossing_s(0, 125) == (pytest.approx(1e-3), pytest.approx(0.01))
    assert links[0, 3] == links[3, 0] == links[0, 2]
    assert links[0, 2].crossing_s(0, 125) == (pytest.approx(1e-3), pytest.approx(0.032))


def test_a_problem_has_the_chunks_and_the_memory_of_its_request():
    found = problem(answer_tokens=20)
    assert (found.chunks, found.answer_tokens) == (4, 20)
    assert found.block_bytes == 1000 + 120
    whole = 6 * 1120 + 500 + 700
    assert found.holds(replace(found.satellites[0], memory_bytes=whole), 0, 6)
    assert not found.holds(replace(found.satellites[0], memory_bytes=whole - 1), 0, 6)


@pytest.mark.parametrize(
    ("tokens", "chunks", "block_s"),
    [(1, 1, 1e-3), (32, 1, 4e-3), (33, 2, 4e-3 * (0.55 + 0.45 * 16.5 / 32)), (64, 2, 4e-3)],
)
def test_a_prompt_goes_in_equal_chunks_whose_costs_follow_from_those_measured(tokens, chunks, block_s):
    found = problem(prompt_tokens=tokens)
    assert found.chunks == chunks
    assert found.chunk.block_s == pytest.approx(block_s)
    assert found.codecs[0].size_bytes == pytest.approx(36_000 / 32 * tokens / chunks)


def test_plans_cut_only_where_it_was_measured_also_without_a_budget():
    for stages in (1, 2, 3):
        given_problem = problem(stages=stages)
        found = best(given_problem).plan
        assert fits(given_problem, found)
        assert all(stage.stop % 2 == 0 for stage in found.stages)


def test_a_request_beyond_the_context_is_refused():
    with pytest.raises(Unfit, match="expected 256 together, the model's context"):
        problem(prompt_tokens=250, answer_tokens=7)

"""A request against a network that reorders, doubles and drops, nodes that crash, and stages that move at any time.

Whatever happens for a while, the answer is that of the plan, as soon as all goes well again.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

import hypothesis.strategies as st
import pytest
from hypothesis import given
from pipeline_net import World, answer_of

from nodes.pipeline.stages.controller import Request, Step

REQUEST = Request(number=1, prompt=tuple(range(3, 14)), answer_tokens=4, chunk_tokens=3, vocabulary=1000)
HOSTILE = {"deliver": 12, "work": 8, "reorder": 6, "double": 2, "drop": 1, "crash": 0.2, "wait": 0.5, "move": 0.5,
           "cut": 0.2}  # fmt: skip


def act(world: World, what: str, rng: Random) -> None:
    """One thing that happens, where it can."""
    match what:
        case "deliver" if world.flying:
            world.deliver()
        case "reorder" if world.flying:
            world.deliver(rng.randrange(len(world.flying)))
        case "double" if world.flying:
            world.deliver(rng.randrange(len(world.flying)), keep=True)
        case "drop" if world.flying:
            del world.flying[rng.randrange(len(world.flying))]
        case "work" if world.working:
            world.work(rng.choice(sorted(world.working)))
        case "crash":
            world.restart(rng.choice(world.names[1:]))
        case "wait":
            world.wait()
        case "move":
            world.controller.move(rng.choice(world.names), rng.choice(world.names), world.now_s)
            world.settle()
        case "cut":
            world.cut ^= {frozenset(rng.sample(world.names, 2))}


def attack(seed: int, weights: dict[str, float], turns: int) -> World:
    """A request under attack for so many turns, and then to its end."""
    rng = Random(f"attack/{seed}")
    request = replace(REQUEST, overlaps=rng.random() < 0.8, chunk_tokens=rng.choice((2, 3, 5)))
    world = World(request, window=rng.choice((1, 2, 3)), hands_over=rng.random() < 0.7)
    for what in rng.choices(list(weights), list(weights.values()), k=turns):
        before = list(world.controller.answer)
        act(world, what, rng)
        assert world.controller.answer[: len(before)] == before
        for core in world.cores.values():
            assert len(core.queue) <= world.window
        if world.over:
            break
    world.cut.clear()
    for _ in world.run():
        pass
    assert world.controller.step is Step.DONE, world.controller.reason
    assert world.controller.answer == answer_of(request)
    assert world.controller.diverged == 0
    return world


@given(st.integers(0, 2**32), st.integers(0, 300))
def test_the_answer_is_that_of_the_plan_whatever_happens_meanwhile(seed, turns):
    attack(seed, HOSTILE, turns)


@pytest.mark.parametrize("block", range(4))
def test_the_same_attacks_every_time(block):
    for seed in range(60 * block, 60 * (block + 1)):
        attack(seed, HOSTILE, seed % 300)

"""How long the planner takes, and what policies cost, on random satellites: `python -m benchmarks llm_plan`.

The satellites, links and codec sizes are those of the model study of docs: 15 to 40 % of a core, memory for 6 to 12 of
30 blocks, a ring with chords at 0.5 to 1.5 times the mean rate, prompts of 8 chunks of 32 tokens, 0.02 nat of error.
Nothing is sent: times are what the terms of a plan say.
"""

from __future__ import annotations

import random
import statistics
import time

from nodes.pipeline.planner.policies import POLICIES, choose
from nodes.pipeline.planner.problem import CodecCost, Link, Problem, Satellite, Work
from nodes.pipeline.planner.search import Heuristic, best

SEEDS = range(6)
CODECS = (
    ("fp16", 1152, 0.0003, 0.0),
    ("int8", 596, 0.001, 0.0008),
    ("klt5", 399, 0.003, 0.001),
    ("klt4", 327, 0.003, 0.0036),
    ("klt3", 260, 0.003, 0.0139),
)
"""Name, bytes a token, time to code a chunk, loss of a cut in nats."""


def problem(seed: int, satellites: int, mean_bps: float, answer_tokens: int = 1) -> Problem:
    draw = random.Random(seed)
    made = tuple(Satellite(f"s{n}", draw.uniform(0.15, 0.4), draw.randint(6, 12)) for n in range(satellites))
    links = {
        (a, b): Link.steady(0.01, mean_bps * draw.uniform(0.5, 1.5))
        for a in range(satellites)
        for b in range(satellites)
        if abs(a - b) in (1, satellites - 1) or (a != b and draw.random() < 0.3)
    }
    return Problem(
        blocks=30,
        satellites=made,
        links=links,
        codecs=tuple(_codec(draw, *row) for row in CODECS),
        chunk=Work(32, 0.0042, 0.001),
        token=Work(1, 0.001, 0.006),
        chunks=8,
        answer_tokens=answer_tokens,
        budget_nats=0.02,
        unit=2,
        block_bytes=1.0,
    )


def _codec(draw: random.Random, name: str, token_bytes: float, code_s: float, loss_nats: float) -> CodecCost:
    losses = tuple(loss_nats * draw.uniform(0.5, 1.5) for _ in range(29))
    times_s = (code_s, code_s, 32 * token_bytes, code_s / 8, code_s / 8)
    return CodecCost(name, *times_s, token_bytes, losses)


def main() -> None:
    print("plan of 30 blocks, units of 2, 8 chunks, processor time (worst of 6) and labels (most)")
    for satellites in (8, 12):
        for answer_tokens in (1, 64):
            for heuristic in ("full", "fill"):
                _time(satellites, answer_tokens, heuristic)  # type: ignore[arg-type]
    print("first token by policy, mean of 6, 8 satellites")
    for mean_bps in (5e5, 1e6, 2e6, 4e6):
        first_s = {
            policy: statistics.mean(choose(policy, problem(seed, 8, mean_bps)).first_token_s for seed in SEEDS)
            for policy in POLICIES
        }
        less = 1 - first_s["joint"] / first_s["fp16"]
        print(f"  {mean_bps / 1e6:3g} Mbit/s  joint {less:.0%} less than fp16   ", end="")
        print("  ".join(f"{policy} {value:.2f} s" for policy, value in first_s.items()))


def _time(satellites: int, answer_tokens: int, heuristic: Heuristic) -> None:
    took_s, popped = [], []
    for seed in SEEDS:
        given = problem(seed, satellites, 1e6, answer_tokens)
        begun_s = time.process_time()
        popped.append(best(given, heuristic).popped)
        took_s.append(time.process_time() - begun_s)
    what = f"{satellites} satellites, {answer_tokens:2} tokens of answer, bound {heuristic}"
    print(f"  {what}: {max(took_s):.2f} s, {max(popped)} labels")


if __name__ == "__main__":
    main()

"""What a joint plan is compared with: plans that other systems would make, of the same problem.

Invariant: a policy's plan is judged by the same terms as the joint one; what a policy does not look at (overlap, the
codec, the rates of links), it pays for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

from emulator.model.errors import Absent
from nodes.pipeline.planner.moving import best_of_windows
from nodes.pipeline.planner.plan import Crossing, Plan, Stage, Terms, terms
from nodes.pipeline.planner.problem import CodecCost, Problem
from nodes.pipeline.planner.search import Infeasible, best

PLAIN = "fp16"
POLICIES = ("joint", "fp16", "int8", "sequential", "edgeshard", "memory-proportional")
"""joint: cuts, satellites and codecs together. fp16, int8: the best pipeline with one codec everywhere. sequential: the
former, a chunk starting when the one before is through. edgeshard: cuts and satellites of least latency for one chunk,
as the dynamic programme of EdgeShard has them, without overlap. memory-proportional: satellites in the order given,
blocks in proportion to memory, as in the ring of exo; overlapped."""
_CODECS = {"joint": None, "int8": "int8"}  # None: all that there are; other policies have PLAIN


@dataclass(frozen=True, slots=True)
class Chosen:
    policy: str
    plan: Plan
    overlaps: bool  # whether chunks follow one another closely
    terms: Terms

    @property
    def first_token_s(self) -> float:
        return self.terms.first_token_s if self.overlaps else self.terms.sequential_s

    @property
    def total_s(self) -> float:
        """The whole answer."""
        return self.first_token_s + (self.terms.answer_tokens - 1) * self.terms.token_s


def choose(policy: str, problem: Problem) -> Chosen:
    """The policy's plan. Infeasible where it has none; Absent for a policy that there is not."""
    if policy not in POLICIES:
        raise Absent(f"policy {policy!r}", ", ".join(POLICIES))
    offered = offered_to(policy, problem)
    if policy == "memory-proportional":
        return _chosen(policy, problem, _proportional(offered))
    if policy == "edgeshard":
        return _chosen(policy, problem, best(_one_chunk(offered)).plan, overlaps=False)
    return _chosen(policy, problem, best_of_windows(offered).plan, overlaps=policy != "sequential")


def offered_to(policy: str, problem: Problem) -> Problem:
    """The problem with the codecs that a policy may use. Absent where its codec is not there."""
    codec = _CODECS.get(policy, PLAIN)
    return replace(problem, codecs=(_codec(problem, codec),)) if codec else problem


def _chosen(policy: str, problem: Problem, plan: Plan, overlaps: bool = True) -> Chosen:
    return Chosen(policy, plan, overlaps, terms(problem, plan))


def _codec(problem: Problem, name: str) -> CodecCost:
    for codec in problem.codecs:
        if codec.name == name:
            return codec
    raise Absent(f"codec {name!r}", ", ".join(codec.name for codec in problem.codecs))


def _one_chunk(problem: Problem) -> Problem:
    """A problem whose delay is the fill of one chunk and the answer, on links as they are at the start."""
    now = {pair: link.at(problem.start_s) for pair, link in problem.links.items()}
    return replace(problem, chunks=1, links=now)


def _proportional(problem: Problem) -> Plan:
    """A ring of all satellites (or of so many as there are to be stages), from the source on."""
    count = len(problem.satellites)
    most = min(count, len(problem.cuts) - 1)
    if problem.stages is not None and problem.stages > most:
        raise Infeasible(f"{problem.stages} stages", f"{most} at most: satellites, and blocks to cut at")
    order = [(problem.source + step) % count for step in range(problem.stages or most)]
    memory_bytes = [min(problem.satellites[each].memory_bytes, 1e15) for each in order]
    if not any(memory_bytes):
        raise Infeasible("satellites without memory", "memory for a share of blocks")
    units = len(problem.cuts) - 1
    borders = [0]
    for number in range(len(order)):
        share = sum(memory_bytes[: number + 1]) / sum(memory_bytes)
        left = len(order) - number - 1  # stages to come, a unit each at the least
        borders.append(min(max(round(share * units), borders[-1] + 1), units - left))
    stages = tuple(
        Stage(satellite, problem.cuts[begun], problem.cuts[ended])
        for satellite, begun, ended in zip(order, borders[:-1], borders[1:], strict=True)
    )
    for stage, after in pairwise(stages):
        if (link := problem.links.get((stage.satellite, after.satellite))) is None or link.most_rate_bps == 0:
            raise Infeasible("a ring of satellites without a link between two of them", "a way from each to the next")
    if not all(problem.holds(problem.satellites[stage.satellite], stage.first, stage.stop) for stage in stages):
        raise Infeasible("a share of blocks that is too large for a satellite", "memory for it")
    codec = problem.codecs[0]
    return Plan(stages, (Crossing(codec, codec),) * (len(stages) - 1))

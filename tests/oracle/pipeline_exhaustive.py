"""Every plan of a small problem, each played chunk by chunk through its stages and links: slow, and sure.

Nothing here is taken from the planner but the shapes of problems and plans.
"""

from itertools import combinations, pairwise, permutations, product
from math import inf

from nodes.pipeline.planner.plan import Crossing, Plan, Stage


def every_plan(problem):
    """All plans that keep the constraints."""
    inner = range(problem.unit, problem.blocks, problem.unit)
    others = [each for each in range(len(problem.satellites)) if each != problem.source]
    pairs = [
        Crossing(codec, token)
        for codec in problem.codecs
        for token in (problem.codecs if problem.answer_tokens > 1 else [codec])
    ]
    for cuts in range(len(inner) + 1):
        if problem.stages is not None and cuts + 1 != problem.stages:
            continue
        for borders in combinations(inner, cuts):
            for way in permutations(others, cuts):
                at = [0, *borders, problem.blocks]
                stages = [Stage(s, a, b) for s, a, b in zip([problem.source, *way], at, at[1:], strict=False)]
                if not all(_held(problem, stage) for stage in stages) or not _joined(problem, stages):
                    continue
                for crossings in product(pairs, repeat=cuts):
                    plan = Plan(tuple(stages), tuple(crossings))
                    if loss_of(problem, plan) <= problem.budget_nats + 1e-12:
                        yield plan


def best_delay_s(problem):
    """Of the plans that keep the constraints; infinite where there are none."""
    return min((delay_s(problem, plan) for plan in every_plan(problem)), default=inf)


def loss_of(problem, plan):
    total = 0.0
    for stage, crossing in zip(plan.stages, plan.crossings, strict=False):
        used = [crossing.codec, crossing.token_codec] if problem.answer_tokens > 1 else [crossing.codec]
        total += problem.kappa * max(0.0, *(codec.loss_nats[stage.stop - 1] for codec in used))
    return total


def delay_s(problem, plan):
    """Until the last token of the answer is back: chunks first, then token by token."""
    free_at = {}
    done = 0.0
    for _ in range(problem.chunks):
        done = _through(problem, plan, problem.start_s, free_at, token=False)
    back = _back_s(problem, plan)
    done += back
    for _ in range(problem.answer_tokens - 1):
        done = _through(problem, plan, done, {}, token=True) + back
    return done - problem.start_s


def _through(problem, plan, at_s, free_at, token):
    """When one chunk, which may begin at `at_s`, is through the last stage; `free_at` is of stages and links."""
    work = problem.token if token else problem.chunk
    decode_s = 0.0
    for number, stage in enumerate(plan.stages):
        speed = problem.satellites[stage.satellite].speed
        busy_s = decode_s + (stage.stop - stage.first) * work.block_s
        if number == len(plan.crossings):
            busy_s += work.head_s
        else:
            crossing = plan.crossings[number]
            codec = crossing.token_codec if token else crossing.codec
            busy_s += codec.token_encode_s if token else codec.encode_s
        at_s = max(at_s, free_at.get(("stage", number), 0.0)) + busy_s / speed
        free_at["stage", number] = at_s
        if number == len(plan.crossings):
            return at_s
        link = problem.links[stage.satellite, plan.stages[number + 1].satellite]
        begun_s = max(at_s, free_at.get(("link", number), 0.0))
        sending_s, delay_s_ = _crossing_s(link, begun_s, codec.token_bytes if token else codec.size_bytes)
        free_at["link", number] = begun_s + sending_s
        at_s = begun_s + sending_s + delay_s_
        decode_s = codec.token_decode_s if token else codec.decode_s
    raise AssertionError("a plan without a last stage")


def _crossing_s(link, start_s, size_bytes):
    """Bit by bit of time: sending goes on while a span lasts, and the delay is that of the span of the last bit."""
    left, at_s = 8.0 * size_bytes, start_s
    for span in link.spans:
        if at_s >= span.until_s:
            continue
        if span.rate_bps and left <= span.rate_bps * (span.until_s - at_s):
            return at_s + left / span.rate_bps - start_s, span.delay_s
        left -= span.rate_bps * (span.until_s - at_s) if span.rate_bps else 0.0
        at_s = span.until_s
    return inf, inf


def _held(problem, stage):
    satellite = problem.satellites[stage.satellite]
    needed = (stage.stop - stage.first) * problem.block_bytes
    needed += problem.embedding_bytes if stage.first == 0 else 0
    needed += problem.head_bytes if stage.stop == problem.blocks else 0
    last = problem.blocks if satellite.stop is None else satellite.stop
    return satellite.first <= stage.first and stage.stop <= last and needed <= satellite.memory_bytes


def _joined(problem, stages):
    for one, other in pairwise(stages):
        link = problem.links.get((one.satellite, other.satellite))
        if link is None or all(span.rate_bps == 0 for span in link.spans):
            return False
    return stages[-1].satellite == problem.source or (stages[-1].satellite, problem.source) in problem.links


def _back_s(problem, plan):
    last = plan.stages[-1].satellite
    if last == problem.source:
        return 0.0
    return min((s.delay_s for s in problem.links[last, problem.source].spans if s.rate_bps), default=inf)

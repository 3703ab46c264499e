"""What a plan loses on text: the whole model in one process, whose cuts pass what the plan's codecs make of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from emulator.model.errors import DataError
from nodes.pipeline.codecs.calibration import Statistics, codec_of, transfer
from nodes.pipeline.codecs.evaluation import Change, change, score, windows
from nodes.pipeline.codecs.texts import text
from nodes.pipeline.model.chain import Chain, split
from nodes.pipeline.model.gguf import Gguf
from nodes.pipeline.model.tokenizer import Tokenizer
from nodes.pipeline.planner.plan import Plan
from nodes.pipeline.planner.policies import PLAIN

TEXTS = ("docs", "fortunes")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of the codecs of chunks or of tokens, on one text."""

    text: str
    of: str  # "prompt" or "answer"
    codecs: tuple[str, ...]  # by cut
    perplexity: float  # with fp16
    accuracy: float  # share of next tokens that are right, with fp16
    change: Change
    expected_nats: float  # the sum of what its cuts lose each by itself, as calibrated


def judge(
    gguf: Gguf, plan: Plan, statistics: Mapping[int, Statistics], count: int, tell: Callable[[str], None]
) -> Iterator[Verdict]:
    """On `count` windows of each text. DataError for a cut without statistics."""
    cuts = [stage.stop for stage in plan.stages[:-1]]
    if missing := [cut for cut in cuts if cut not in statistics]:
        raise DataError(f"no statistics of cut {missing[0]}; expected those of all cuts: calibrate again")
    used = {"prompt": tuple(each.codec for each in plan.crossings)}
    answer = tuple(each.token_codec for each in plan.crossings)
    used |= {"answer": answer} if answer != used["prompt"] else {}
    parts, tokenizer = split(gguf, cuts), Tokenizer(gguf.metadata)

    def chain(names: Sequence[str]) -> Chain:
        codecs = [codec_of(name, statistics[cut]) for name, cut in zip(names, cuts, strict=True)]
        return Chain(parts, [transfer(codec) for codec in codecs])

    for name in TEXTS:
        texts = windows(tokenizer.encode(text(name)), count)
        tell(f"{name}: {len(texts)} windows with {PLAIN} at cuts {cuts}")
        base = score(chain([PLAIN] * len(cuts)), texts)
        for of, costs in used.items():
            names = tuple(cost.name for cost in costs)
            tell(f"{name}: the same with {', '.join(names) or 'no codec'}")
            lost = change(base, base if {*names} <= {PLAIN} else score(chain(names), texts))
            expected_nats = sum(cost.loss_nats[cut - 1] for cost, cut in zip(costs, cuts, strict=True))
            yield Verdict(name, of, names, base.perplexity, base.accuracy, lost, expected_nats)

"""Measure a model on this processor: what blocks, head and codecs take, and what each codec loses at each cut.

Invariant: times are processor time, the least of several runs, since other processes only add to it. Statistics of
codecs and losses come from different windows of the calibration text. No window begins that the time limit does not
leave room for, by the longest one before it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from emulator.model.errors import PlatformError
from nodes.pipeline.codecs.calibration import Statistics, calibrated, codec_of
from nodes.pipeline.codecs.codec import HEADER, Codec
from nodes.pipeline.codecs.evaluation import WINDOW_TOKENS, sensitivities, windows
from nodes.pipeline.codecs.texts import text
from nodes.pipeline.model.chain import Chain, split
from nodes.pipeline.model.gguf import Gguf
from nodes.pipeline.model.llama import Part, Shape
from nodes.pipeline.model.quantisation import Floats
from nodes.pipeline.model.tokenizer import Tokenizer
from nodes.pipeline.planner.policies import PLAIN
from nodes.pipeline.planner.problem import CodecCost, Work
from nodes.pipeline.profile import Profile, cuts_of, losses_by_cut, memory_of

CODECS = (PLAIN, "int8", "int4-rotated", "klt5", "klt4", "klt3.5", "klt3")
STATISTICS_WINDOWS = 24
LEAST_WINDOWS = 2  # an interval needs two
MOST_WINDOWS = 10  # that the text has, for SmolLM2, beside those of statistics
REPEATS = 3  # of a window
REPEATS_OF_SHORT = 20  # of codecs and head
TELL_S = 5  # between two lines of progress

Text = Sequence[int]
Tell = Callable[[str], None]


@dataclass(slots=True)
class _Pace:
    """Windows one after another, as long as the time limit leaves room for one more."""

    limit_s: float
    tell: Tell
    begun_s: float
    told_s: float = 0.0
    done: int = 0  # windows of the latest round

    def through(self, texts: Sequence[Text], what: str, least: int) -> Iterator[Text]:
        """PlatformError where there is no time for `least` of them."""
        before_s, longest_s = time.monotonic(), 0.0
        for number, each in enumerate(texts):
            now_s = time.monotonic()
            longest_s, before_s = max(longest_s, now_s - before_s), now_s
            if now_s - self.begun_s + longest_s > self.limit_s:
                self._end(what, number, len(texts), least)
                return
            if not number or now_s - self.told_s > TELL_S:
                self.told_s = now_s
                self.tell(f"{what}: window {number + 1} of {len(texts)}, {now_s - self.begun_s:.0f} s so far")
            self.done = number + 1
            yield each

    def _end(self, what: str, number: int, count: int, least: int) -> None:
        if number < least:
            raise PlatformError(
                f"calibration: {what}: {number} of {count} windows when {self.limit_s:g} s were as good as over; "
                f"expected {least} at least: a longer --limit, or a larger --unit"
            )
        self.tell(f"{what}: no time for more than {number} of {count} windows")


def calibrate(
    gguf: Gguf, model_sha256: str, *, windows_asked: int, unit: int, chunk_tokens: int, limit_s: float, tell: Tell
) -> tuple[Profile, dict[int, Statistics]]:
    """The profile of a model, and the statistics of its cuts, one at least. PlatformError where time does not do."""
    shape = Shape.of(gguf)
    cuts = cuts_of(shape.blocks, unit)
    pace = _Pace(limit_s, tell, time.monotonic())
    texts = windows(tokens_of(gguf), STATISTICS_WINDOWS + windows_asked)
    statistics = calibrated(
        gguf, cuts, pace.through(texts[:STATISTICS_WINDOWS], "statistics of activations", STATISTICS_WINDOWS)
    )
    codecs = [{name: codec_of(name, statistics[cut]) for name in CODECS} for cut in cuts]
    chain = Chain(split(gguf, cuts))
    held_out = texts[STATISTICS_WINDOWS:]
    tell("times of blocks, head and codecs")
    head_s = _head_s(chain, held_out[0])
    chunk = Work(chunk_tokens, _block_s(chain, held_out[0], 0, chunk_tokens), head_s)
    token = Work(1, _block_s(chain, held_out[0], WINDOW_TOKENS // 2, 1), head_s)
    rows = _rows(chain, held_out[0])
    lossy = [{name: codec for name, codec in each.items() if name != PLAIN} for each in codecs]
    lost = sensitivities(chain, pace.through(held_out, "losses of codecs", LEAST_WINDOWS), lossy)
    costs = []
    for name in CODECS:
        measured = [0.0 if name == PLAIN else max(0.0, each[name].mean) for each in lost]
        losses = losses_by_cut(shape.blocks, unit, measured)
        costs.append(_codec_cost([each[name] for each in codecs], rows, chunk_tokens, losses, chain.parts[0]))
    profile = Profile(
        model_sha256=model_sha256,
        blocks=shape.blocks,
        context_tokens=shape.context,
        unit=unit,
        windows=pace.done,
        chunk=chunk,
        token=token,
        codecs=tuple(costs),
        memory=memory_of(gguf, shape),
    )
    return profile, statistics


def tokens_of(gguf: Gguf) -> Text:
    """The calibration text, as the model has it."""
    return Tokenizer(gguf.metadata).encode(text("calibration"))


def _block_s(chain: Chain, tokens: Text, before: int, chunk_tokens: int) -> float:
    """A block's mean over the chunks of a window, `before` tokens of which are in the caches already."""
    chunks = [tokens[at : at + chunk_tokens] for at in range(before, len(tokens) - chunk_tokens + 1, chunk_tokens)]
    took_s = []
    for _ in range(REPEATS):
        caches = chain.caches(len(tokens))
        if before:
            chain.forward(tokens[:before], caches)
        begun_s = time.process_time()
        for chunk in chunks:
            chain.forward(chunk, caches)
        took_s.append(time.process_time() - begun_s)
    return min(took_s) / len(chunks) / chain.parts[0].shape.blocks


def _head_s(chain: Chain, tokens: Text) -> float:
    """Of one row: a chunk of the prompt asks for the token behind its last."""
    rows = chain.forward(tokens, chain.caches(len(tokens)))
    return _least_s(lambda: chain.logits(rows[-1:]))


def _rows(chain: Chain, tokens: Text) -> list[Floats]:
    """What crosses each cut for a window."""
    rows = [chain.parts[0].embed(tokens)]
    for part in chain.parts[:-1]:
        rows.append(part.forward(rows[-1], part.cache(len(tokens))))
    return rows[1:]


def _codec_cost(
    codecs: Sequence[Codec], rows: Sequence[Floats], chunk_tokens: int, loss_nats: tuple[float, ...], part: Part
) -> CodecCost:
    """Of a codec that each cut has; times at the cut in the middle, sizes are means over cuts and chunks.

    Blocks of `part` run before each use, as at a stage: they leave nothing of a codec in the processor's caches.
    """

    def took_s(call: Callable[[], object]) -> float:
        return _least_s(call, lambda: part.forward(part.embed([0]), part.cache(1)))

    codec, middle = codecs[len(codecs) // 2], rows[len(rows) // 2]
    chunk, token = middle[-chunk_tokens:], middle[-1:]
    chunk_data, token_data = codec.encode(chunk), codec.encode(token)
    sizes = [
        len(each.encode(at_cut[at : at + chunk_tokens]))
        for each, at_cut in zip(codecs, rows, strict=True)
        for at in range(0, len(at_cut) - chunk_tokens + 1, chunk_tokens)
    ]
    return CodecCost(
        name=codec.name,
        encode_s=took_s(lambda: codec.encode(chunk)),
        decode_s=took_s(lambda: codec.decode(chunk_data)),
        size_bytes=float(np.mean(sizes)),
        token_encode_s=took_s(lambda: codec.encode(token)),
        token_decode_s=took_s(lambda: codec.decode(token_data)),
        token_bytes=float(HEADER.size + np.mean([each.bytes_per_token for each in codecs])),
        loss_nats=loss_nats,
    )


def _least_s(call: Callable[[], object], before: Callable[[], object] = lambda: None) -> float:
    took_s = []
    for _ in range(REPEATS_OF_SHORT):
        before()
        begun_s = time.process_time()
        call()
        took_s.append(time.process_time() - begun_s)
    return min(took_s)

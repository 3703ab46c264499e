"""The engine on a real model's arithmetic: split, handed over and paced, it computes what the whole model does."""

import struct
import time

import pytest
from pipeline_model import small
from pipeline_net import World

from nodes.pipeline.codecs.calibration import transfer
from nodes.pipeline.codecs.codec import HalfCodec
from nodes.pipeline.model.chain import Chain, split
from nodes.pipeline.model.llama import Shape
from nodes.pipeline.stages.controller import Request
from nodes.pipeline.stages.core import Begin, Compute, Export, Failed, Import, Prepare
from nodes.pipeline.stages.engine import Engine
from nodes.pipeline.stages.segment import Segment, assignment_of
from nodes.pipeline.stages.wire import Chunk

REQUEST = Request(number=1, prompt=tuple(range(60, 80)), answer_tokens=6, chunk_tokens=8, vocabulary=1000)
PLAN = assignment_of(["n0 0-1 fp16", "n1 1-3 fp16", "n2 3-4"])


def of_one_process() -> list[int]:
    """The answer of the same parts and codecs, without stages."""
    transfers = [transfer(HalfCodec(Shape.of(small()).hidden))] * 2
    return list(Chain(split(small(), [1, 3]), transfers).greedy(REQUEST.prompt, 6, REQUEST.chunk_tokens))


def chunk_of(tokens: range) -> Chunk:
    return Chunk(1, 1, 0, len(tokens), b"", struct.pack(f">{len(tokens)}I", *tokens))


def test_stages_answer_as_the_model_in_one_process_does():
    world = World(REQUEST, PLAN, make_engine=lambda: Engine(small(), {}))
    for _ in world.run():
        pass
    assert world.controller.answer == of_one_process()


def test_stages_that_moved_answer_alike():
    world = World(REQUEST, PLAN, make_engine=lambda: Engine(small(), {}))
    for _ in world.run():
        if len(world.controller.answer) == 2 and len(world.controller.epochs) == 1:
            world.controller.move("n1", "n3", world.now_s)
            world.settle()
    assert world.controller.epochs[-1].moved == 1
    assert world.controller.answer == of_one_process()


def test_a_share_of_a_processor_takes_as_much_longer():
    engine = Engine(small(), {}, share=0.25)
    assert engine.do(Begin(64)) is None
    assert engine.do(Prepare(None, Segment(0, 4), 0)) is None
    begun_s = time.monotonic()
    assert isinstance(engine.do(Compute(chunk_of(range(32)), "", 0.0)), int)
    assert time.monotonic() - begun_s >= engine.used.cpu_s / 0.25
    times = engine.times
    assert times.begun_s <= times.decoded_s <= times.computed_s <= times.encoded_s


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (Begin(10**9), "at most"),
        (Export(1, 5), "no request"),
        (Prepare(None, Segment(0, 4), 0), "no request"),
        (Compute(chunk_of(range(3)), "", 0.0), "no segment"),
    ],
)
def test_what_cannot_be_done_fails_with_words(job, words):
    failed = Engine(small(), {}).do(job)
    assert isinstance(failed, Failed)
    assert words in str(failed)


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (Import(1, b"\0" * 7), "bytes of keys and values"),
        (Prepare(None, Segment(0, 2, "klt4", "klt4"), 0), "klt4 behind block 1; expected a cut with statistics"),
        (Prepare(None, Segment(0, 4), 0), "the memory of the node"),
    ],
)
def test_what_does_not_fit_a_request_fails_with_words(job, words):
    engine = Engine(small(), {}, memory_bytes=500_000)
    assert engine.do(Begin(64)) is None
    failed = engine.do(job)
    assert isinstance(failed, Failed)
    assert words in str(failed)

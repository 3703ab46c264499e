"""A node that is told anything: messages in any order and of any content end nothing but themselves."""

import hypothesis.strategies as st
from hypothesis import given
from pipeline_model import small
from pipeline_net import MODEL

from nodes.pipeline.model.llama import Shape
from nodes.pipeline.stages import wire
from nodes.pipeline.stages.controller import Controller, Patience, Request
from nodes.pipeline.stages.core import StageCore
from nodes.pipeline.stages.engine import Engine
from nodes.pipeline.stages.segment import assignment_of

NODES = ("n0", "n1", "n2")
ROW = Shape.of(small()).hidden * 2  # bytes of a token by fp16
one_of_few = st.integers(1, 2)
tokens = st.sampled_from([0, 1, 2, 3, 10, 40, 2**32 - 1])
block = st.sampled_from([0, 1, 2, 3, 4, 5, 65535])
node = st.sampled_from([*(name.encode() for name in NODES), b"", b"\xff"])
codec = st.sampled_from([b"", b"fp16", b"klt4", b"none", b"\xff"])
payload = st.sampled_from([b"", b"\0\0\0\1", b"\0\0\0\1" * 2, b"\xff" * 8, b"\1\0\1\0" + bytes(ROW), bytes(1000)])
segments = st.one_of(
    st.just((wire.Blocks(0, 2, b"fp16", b"fp16"), wire.Blocks(2, 4, b"", b""))),
    st.lists(st.builds(wire.Blocks, block, block, codec, codec), max_size=3).map(tuple),
)
seats = st.lists(st.builds(wire.Seat, node, node), max_size=3).map(tuple)
messages = st.one_of(
    st.builds(wire.Probe, one_of_few, one_of_few, st.sampled_from([MODEL, bytes(32)]), tokens.filter(bool), tokens,
              segments),
    st.builds(wire.Held, one_of_few, one_of_few, st.integers(0, 1), st.lists(tokens, max_size=3).map(tuple)),
    st.builds(wire.Place, one_of_few, one_of_few, tokens, seats),
    st.builds(wire.Keys, one_of_few, one_of_few, block, payload),
    st.builds(wire.Ready, one_of_few, one_of_few),
    st.builds(wire.Refused, one_of_few, one_of_few, payload.filter(lambda data: len(data) <= 400)),
    st.builds(wire.Chunk, one_of_few, one_of_few, tokens, st.sampled_from([1, 2, 65535]), codec, payload),
    st.builds(wire.Taken, one_of_few, one_of_few, tokens),
    st.builds(wire.Token, one_of_few, one_of_few, tokens, tokens),
)  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(NODES), messages), max_size=30), st.data())
def test_a_stage_that_is_told_anything_goes_on(told, data):
    core, engine = StageCore("n1", "n0", MODEL, 2, lambda node: True), Engine(small(), {})
    job = None
    for sender, message in told:
        core.on_message(sender, message, 0.0)
        if job is not None and data.draw(st.booleans()):
            core.done(engine.do(job))
            job = None
        job = job or core.next_job()
        for _, said in core.take():
            assert wire.CODEC.decode(wire.CODEC.encode(said)) == said
        assert len(core.queue) <= 2


@given(st.lists(st.tuples(st.sampled_from(NODES), messages), max_size=30))
def test_a_controller_that_is_told_anything_goes_on(told):
    request = Request(1, (1, 2, 3), answer_tokens=3, chunk_tokens=2, vocabulary=100)
    controller = Controller(request, assignment_of(["n0 0-2 fp16", "n1 2-4"]), NODES, MODEL, 2, Patience(most_epochs=5))
    controller.tick(0.0)
    for at, (sender, message) in enumerate(told):
        controller.on_message(sender, message, at * 0.1)
        controller.tick(at * 0.1)
        for _, said in controller.take():
            assert wire.CODEC.decode(wire.CODEC.encode(said)) == said
        assert all(token < 100 for token in controller.answer)

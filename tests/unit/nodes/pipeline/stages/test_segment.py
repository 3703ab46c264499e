"""Plans as configs have them."""

import pytest

from nodes.pipeline.stages.segment import Segment, assignment_of


def test_a_plan_is_one_text_a_stage():
    plan = assignment_of(["sat-0 0-8 klt4", "sat-1 8-24 klt3.5/fp16", "sat-2 24-30"])
    assert plan.nodes == ("sat-0", "sat-1", "sat-2")
    assert plan.segments == (
        Segment(0, 8, "klt4", "klt4"), Segment(8, 24, "klt3.5", "fp16"), Segment(24, 30),
    )  # fmt: skip
    assert plan.blocks == 30


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ([], "a plan of 0 stages; expected 1 to 64"),
        (["a 0-8", "b 8-30"], "stage 'a 0-8'; expected 'NODE FIRST-STOP CODEC'"),
        (["a 0-8 fp16"], "expected 'NODE FIRST-STOP', as the last"),
        (["a 0-8 fp16", "b 9-30"], "stage 'b 9-30'; expected blocks from 8 on"),
        (["a 0-0"], "one at least"),
        (["a 0-8 fp16", "a 8-30"], "two stages on a; expected one on each node"),
        (["a zero-8"], "stage 'a zero-8'"),
    ],
)
def test_what_is_no_plan_is_refused(texts, words):
    with pytest.raises(ValueError, match=r"expected") as error:
        assignment_of(texts)
    assert words in str(error.value)

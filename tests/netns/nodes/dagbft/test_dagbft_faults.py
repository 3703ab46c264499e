"""Fault rows on real processes: a liar among four validators over emulated links, and what the honest ones say of it.

The rows themselves are in tests/unit/nodes/dagbft/test_dagbft_rows_*.py, on the jumping clock; here: C1, C2 and C6, and
liars that hide their blocks (F1), lose votes (F3) or lose their disk again and again (F4).
"""

from __future__ import annotations

from pathlib import Path

import pytest
from dagbft_committee import LOAD, SCENARIO, assert_agree, commits, of_kind, play
from fabric_sandbox import needs_sandbox

pytestmark = [pytest.mark.netns, needs_sandbox]

LIAR = """
[[program]]
name = "liar"
nodes = ["a3"]
run = "nodes.dagbft.byzantine.process:{run}"
[program.config]
validators = ["a0", "a1", "a2", "a3"]
{more}
"""
PRIMARY_MORE = 'leader_timeout = "500 ms"\ngrace = "20 ms"\nheader_delay = "20 ms"\nbehaviour = "{behaviour}"'


def with_liar(behaviour: str, duration: float) -> str:
    """The committee of the other tests, its last validator a liar in place of one program."""
    text = SCENARIO.format(duration=duration, more="")
    program, replaced = (
        ("worker", "WithholdingWorker") if behaviour == "withhold-batches" else ("primary", "ByzantinePrimary")
    )
    head, tail = text.split(f'name = "{program}"\nnodes = ["a*"]')
    text = f'{head}name = "{program}"\nnodes = ["a0", "a1", "a2"]{tail}'
    more = 'batch_delay = "20 ms"' if program == "worker" else PRIMARY_MORE.format(behaviour=behaviour)
    more += '\nswap = "1 s"' if behaviour == "wiped-twice" else ""
    return text + LIAR.format(run=replaced, more=more)


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("equivocate", "equivocation"),
        ("twins", ""),
        ("withhold-batches", ""),
        ("hide", ""),
        ("lost-vote", ""),
        ("wiped-twice", ""),
    ],
)
def test_a_liar_among_four(behaviour: str, reason: str, tmp_path: Path) -> None:
    _, events = play(tmp_path, with_liar(behaviour, 4) + LOAD.format(until=2.5))
    logs = commits([event for event in events if event["node"] != "a3"])  # one that forgets commits again
    assert_agree(logs, 5)
    tallies = of_kind(events, "tally", "primary")
    for node in ("a0", "a1", "a2"):
        tally = tallies[node]
        assert tally["early_wrong"] == tally["places_wrong"] == 0
        assert not reason or tally["rejected"].get(reason, 0) > 0
    if behaviour != "withhold-batches":
        assert of_kind(events, "tally", "liar")["a3"]["lies"] > 3
    blocks = [tuple(slot) for _, ordered in logs["a0"].values() for slot in ordered]
    assert len(set(blocks)) == len(blocks)
    assert (3 in {author for _, author in blocks}) or reason or behaviour == "hide"

"""What `f` offers to do to a node or a link: the verbs of `[[action]]`, with values that are seen at once.

Invariant: an action is what `Director.perform` takes, so it goes the way of every planned one and leaves its event.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

Kind = Literal["node", "link"]


class Choice(NamedTuple):
    """A line of the list."""

    words: str  # "set delay 200 ms"
    meaning: str
    action: dict[str, Any]


def choices(kind: Kind, name: str) -> list[Choice]:
    """What can be done to the node or link end of that name."""
    return _node(name) if kind == "node" else _link(name)


def _node(name: str) -> list[Choice]:
    on = {"nodes": [name]}
    return [
        Choice("crash", "kill its programs, as a power failure would", {"do": "crash", **on}),
        Choice("restart", "start its programs again", {"do": "restart", **on}),
        Choice("hold", "packets wait at all its links", {"do": "hold", **on}),
        Choice("release", "they go on", {"do": "release", **on}),
        Choice("partition", "nothing passes between it and all others", {"do": "partition", "groups": [[name]]}),
        Choice("heal", "end every partition", {"do": "heal"}),
    ]


def _link(name: str) -> list[Choice]:
    on = {"links": [name]}
    return [
        Choice("link-down", "switch the link off, both ways", {"do": "link-down", **on}),
        Choice("link-up", "switch it on again", {"do": "link-up", **on}),
        Choice("hold", "packets wait at this end", {"do": "hold", **on}),
        Choice("release", "they go on", {"do": "release", **on}),
        Choice("set loss 1 %", "of the packets sent here", {"do": "set", **on, "loss": 0.01}),
        Choice("set loss 10 %", "of the packets sent here", {"do": "set", **on, "loss": 0.1}),
        Choice("set delay 200 ms", "one way, instead of the schedule's", {"do": "set", **on, "delay_s": 0.2}),
        Choice("set rate 1 Mbit/s", "instead of the schedule's", {"do": "set", **on, "rate_bps": 1e6}),
        Choice(
            "unset", "loss, delay and rate as the schedule says again",
            {"do": "set", **on, "loss": None, "delay_s": None, "rate_bps": None},
        ),
    ]  # fmt: skip

"""A plan as configs have it: one text a stage, "NODE FIRST-STOP CODEC/TOKEN_CODEC", such as "sat-1 8-16 klt4/fp16".

Invariant: segments of a plan follow on from block 0, on nodes that differ; all but the last have codecs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from emulator.model.errors import Unfit

MOST_SEGMENTS = 64
_TEXT = re.compile(r"(\S+) (\d{1,4})-(\d{1,4})(?: ([\w.-]+)(?:/([\w.-]+))?)?")


@dataclass(frozen=True, slots=True)
class Segment:
    """Blocks `first` up to `stop`, and the codecs of what leaves them; "" behind the last block."""

    first: int
    stop: int
    codec: str = ""  # of chunks of the prompt
    token_codec: str = ""  # of tokens of the answer


@dataclass(frozen=True, slots=True)
class Assignment:
    """A plan as stages have it: segments, and the node that each is on at first."""

    segments: tuple[Segment, ...]
    nodes: tuple[str, ...]

    @property
    def blocks(self) -> int:
        return self.segments[-1].stop


def assignment_of(texts: Sequence[str]) -> Assignment:
    """The plan that texts tell of, one a stage. Unfit says which of them does not fit."""
    if not 0 < len(texts) <= MOST_SEGMENTS:
        raise Unfit(f"a plan of {len(texts)} stages", f"1 to {MOST_SEGMENTS}")
    segments: list[Segment] = []
    nodes: list[str] = []
    for number, text in enumerate(texts):
        last = number == len(texts) - 1
        match = _TEXT.fullmatch(text)
        if match is None or (match[4] is None) != last:
            form = "'NODE FIRST-STOP'" if last else "'NODE FIRST-STOP CODEC' or 'NODE FIRST-STOP CODEC/TOKEN_CODEC'"
            raise Unfit(f"stage {text[:80]!r}", f"{form}{', as the last' if last else ''}")
        node, first, stop = match[1], int(match[2]), int(match[3])
        begin = segments[-1].stop if segments else 0
        if first != begin or stop <= first:
            raise Unfit(f"stage {text[:80]!r}", f"blocks from {begin} on, one at least")
        if node in nodes:
            raise Unfit(f"two stages on {node}", "one on each node")
        codec = match[4] or ""
        segments.append(Segment(first, stop, codec, match[5] or codec))
        nodes.append(node)
    return Assignment(tuple(segments), tuple(nodes))

"""Parts of a model one after another in one process: what stages compute, without stages.

Invariant: the parts are contiguous and are the whole model. A transfer is what happens to rows between two parts, such
as a codec's encoding and decoding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from emulator.model.errors import Unfit
from nodes.pipeline.model.gguf import Gguf
from nodes.pipeline.model.llama import Cache, Part, Shape
from nodes.pipeline.model.quantisation import Floats

Transfer = Callable[[Floats], Floats]


def split(gguf: Gguf, cuts: Sequence[int] = ()) -> list[Part]:
    """All of a model, in parts that begin at the first block and at those of `cuts`. Unfit where they do not ascend."""
    return [Part(gguf, first, last) for first, last in pairwise((0, *cuts, Shape.of(gguf).blocks))]


class Chain:
    """A whole model in parts, with one transfer between each two of them."""

    def __init__(self, parts: Sequence[Part], transfers: Sequence[Transfer] = ()) -> None:
        """Unfit where the parts do not follow on, or are not the whole model. No transfers: rows cross as they are."""
        blocks = [(part.first, part.last) for part in parts]
        ends = [last for _, last in blocks]
        if not parts or [first for first, _ in blocks] != [0, *ends[:-1]] or ends[-1] != parts[0].shape.blocks:
            raise Unfit(f"parts of blocks {blocks}", "parts that follow on, from the first block to the last")
        if transfers and len(transfers) != len(parts) - 1:
            raise Unfit(f"{len(transfers)} transfers between {len(parts)} parts", f"{len(parts) - 1}")
        self.parts = parts
        self.transfers = transfers

    def caches(self, capacity: int) -> list[Cache]:
        """Caches for one sequence of at most so many tokens."""
        return [part.cache(capacity) for part in self.parts]

    def forward(self, tokens: Sequence[int], caches: Sequence[Cache]) -> Floats:
        """Rows of the next tokens of a sequence, after the last block."""
        rows = self.parts[0].embed(tokens)
        for number, (part, cache) in enumerate(zip(self.parts, caches, strict=True)):
            rows = part.forward(self.transfers[number - 1](rows) if number and self.transfers else rows, cache)
        return rows

    def logits(self, rows: Floats) -> Floats:
        """What the model expects next after each row."""
        return self.parts[-1].logits(rows)

    def greedy(self, prompt: Sequence[int], most_tokens: int, chunk_tokens: int = 32) -> Iterator[int]:
        """The likeliest next tokens, one by one. Unfit where prompt and tokens are more than the model's context."""
        if not prompt:
            raise Unfit("a prompt without tokens", "one at least")
        caches = self.caches(len(prompt) + most_tokens)
        for at in range(0, len(prompt), chunk_tokens):
            rows = self.forward(prompt[at : at + chunk_tokens], caches)
        for left in reversed(range(most_tokens)):
            token = int(self.logits(rows[-1:]).argmax())
            yield token
            if left:
                rows = self.forward([token], caches)

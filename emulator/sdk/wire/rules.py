"""Rules between the fields of a message, such as "sent <= due".

Invariant: the same text is what a codec holds and what a dissector in Lua holds, so it says no more than both can:
sums of integers of at most four bytes on two sides of a comparison.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from emulator.model.errors import Unfit

_RELATIONS: dict[str, Callable[[int, int], bool]] = {
    "<=": operator.le, ">=": operator.ge, "==": operator.eq, "<": operator.lt, ">": operator.gt,
}  # fmt: skip
_TEXT = re.compile(r"(\w+(?: \+ \w+)*) (<=|>=|==|<|>) (\w+(?: \+ \w+)*)")


class Rule:
    """A comparison of sums of fields: "moves + waits == steps". ValueError where the text says something else."""

    def __init__(self, text: str) -> None:
        match = _TEXT.fullmatch(text)
        if match is None:
            raise Unfit(f"rule {text!r}", "names joined by +, a comparison, names joined by +")
        self.text = text
        self.left = tuple(match[1].split(" + "))
        self.relation = match[2]
        self.right = tuple(match[3].split(" + "))

    @property
    def names(self) -> tuple[str, ...]:
        """The fields that it speaks of."""
        return self.left + self.right

    def check(self, values: Mapping[str, Any]) -> None:
        """ValueError where it does not hold."""
        left, right = (sum(values[name] for name in names) for names in (self.left, self.right))
        if not _RELATIONS[self.relation](left, right):
            raise Unfit(f"{left} and {right}", f"{self.text}")

"""The query language of CometBFT's searches and subscriptions: `tm.event = 'Tx' AND transfer.amount CONTAINS 'uatom'`.

Invariant: `parse` raises QueryError, and nothing else, for text that is no query. Source: CometBFT 0.38, pages on
subscriptions; of its operands DATE and TIME are not here, as no event has a value of these kinds.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from emulator.model.errors import Unfit

__all__ = ["Condition", "QueryError", "matches", "parse"]

MOST_CHARACTERS = 2048
MOST_CONDITIONS = 16
_TOKEN = re.compile(r"\s*(?:(AND|CONTAINS|EXISTS)\b|(<=|>=|[<>=])|'([^']*)'|(-?\d+(?:\.\d+)?)(?![\w.])|([^\s'<>=]+))")
_COMPARED: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq,
}  # fmt: skip

Attributes = Mapping[str, Sequence[str]]  # values by key, as "transfer.amount"


class QueryError(Unfit):
    """Text that is no query."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition; `operand` is a text where it was quoted, None after EXISTS."""

    key: str
    operator: str
    operand: str | Decimal | None

    def holds(self, attributes: Attributes) -> bool:
        """Whether one value of the key satisfies it."""
        values = attributes.get(self.key, ())
        if self.operator == "EXISTS":
            return bool(values)
        if self.operator == "CONTAINS":
            return any(str(self.operand) in value for value in values)
        if isinstance(self.operand, Decimal):
            compare, operand = _COMPARED[self.operator], self.operand
            return any((number := _number(value)) is not None and compare(number, operand) for value in values)
        return self.operand in values


def parse(text: str) -> tuple[Condition, ...]:
    """The conditions of a query, which must all hold."""
    tokens = _tokens(text)
    conditions = []
    while True:
        conditions.append(_condition(tokens, text))
        if not tokens:
            break
        if tokens.pop(0)[0] != "AND":
            raise QueryError(f"query {text!r}", "AND between conditions")
    if len(conditions) > MOST_CONDITIONS:
        raise QueryError(f"a query of {len(conditions)} conditions", f"at most {MOST_CONDITIONS}")
    return tuple(conditions)


def matches(conditions: Sequence[Condition], attributes: Attributes) -> bool:
    """Whether all conditions hold."""
    return all(condition.holds(attributes) for condition in conditions)


def _tokens(text: str) -> list[tuple[str, str]]:
    """Kinds and values: AND, CONTAINS, EXISTS, "compare", "text", "number", "key"."""
    if len(text) > MOST_CHARACTERS:
        raise QueryError(f"a query of {len(text)} characters", f"at most {MOST_CHARACTERS}")
    tokens, at, end = [], 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            raise QueryError(f"query {text!r} at character {at}", "a key, an operator or a quoted text")
        at = match.end()
        word = match[match.lastindex or 0]
        tokens.append(
            (word if match.lastindex == 1 else ("compare", "text", "number", "key")[(match.lastindex or 0) - 2], word)
        )
    return tokens


def _condition(tokens: list[tuple[str, str]], text: str) -> Condition:
    expected = QueryError(f"query {text!r}", "conditions such as tm.event = 'Tx', joined by AND")
    if len(tokens) < 2 or tokens[0][0] != "key":
        raise expected
    key, (kind, word) = tokens.pop(0)[1], tokens.pop(0)
    if kind == "EXISTS":
        return Condition(key, kind, None)
    if not tokens or kind not in ("compare", "CONTAINS"):
        raise expected
    operand_kind, operand = tokens.pop(0)
    if operand_kind == "text" and word in ("=", "CONTAINS"):
        return Condition(key, word, operand)
    if operand_kind == "number" and kind == "compare":
        return Condition(key, word, Decimal(operand))
    raise expected


def _number(text: str) -> Decimal | None:
    """The number that a value begins with: in "7uatom" there is none, in "7" there is."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None

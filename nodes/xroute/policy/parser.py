"""The policy language: text to a `Policy`, and its bytes back to one.

    policy   = "xroute/1" { clause }                        one clause a line, or ";" between them
    clause   = ["require"] cond | "prefer" key { "," key } | "limit" lim | "on" event action
    cond     = scope attr cmp value | scope "client_type" ["not"] "in" set | scope ["not"] "in" set
             | "via" ("any" | "all") set | "avoid" set | "disjoint" INT | "mode" set | "registry" set | "names" "agree"
    scope    = "each" ("hop" | "transit" | "chain") | "route" | "source" | "any" "hop"
    cmp      = ">=" | "<=" | "=" | "!=" | ">" | "<"
    lim      = "hops" INT | "fee" INT denom | "time" DURATION | "retries" INT | "bytes" INT
    action   = "reroute" | "refund" | "hold" DURATION | "relax" INT

Invariant: a text is refused with a PolicyError that names the clause, or it means one policy; what `text.show` prints
of that policy means the same one. Work is linear in the text, which has at most `MOST_TEXT` bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeVar

from nodes.ibc.proto.scalars import WireError
from nodes.xroute.policy.clauses import (
    MOST_BYTES,
    MOST_CLAUSES,
    Condition,
    Limit,
    LimitKind,
    Policy,
    Reaction,
    canonical,
)
from nodes.xroute.policy.contradictions import contradiction
from nodes.xroute.policy.terms import (
    EXISTENTIAL_MOST,
    FIRST_CLAIM,
    MODES,
    PROVABLE,
    Action,
    Attribute,
    Comparison,
    Contradiction,
    Event,
    Key,
    Kind,
    PolicyError,
    Scope,
    Unit,
    word,
)
from nodes.xroute.policy.text import HEAD, SPANS_NS, show

MOST_TEXT = 1024  # bytes of a policy that people write
_MOST_CANONICAL = 2 * MOST_BYTES  # of the text of an encoding
_TOKEN = re.compile(r"[{},]|[<>=!]=?|[^\s{},<>=!]+")
_NUMBER = r"(0|[1-9][0-9]{0,18})"
_WHOLE = re.compile(_NUMBER)
_SPAN = re.compile(_NUMBER + "(ns|us|ms|s|min|h|d)")
_PERCENT = re.compile(_NUMBER + r"(?:\.([0-9]{1,4}))?%")
_FRACTION = re.compile(_NUMBER + "/" + _NUMBER)
_FEE = re.compile(_NUMBER + r"([A-Za-z][A-Za-z0-9/:._-]{2,127})")
_LABEL = "[a-z0-9-]{1,63}"
_CHAIN = re.compile(rf"[0-9a-f]{{64}}|{_LABEL}(?:\.{_LABEL}){{0,3}}")
_CLIENT = re.compile(_LABEL)
_MOST_NAME = 255
_ONCE = (Kind.DISJOINT, Kind.MODE, Kind.REGISTRY)

Word = TypeVar("Word", bound=IntEnum)


def parse(text: str) -> Policy:
    """The policy that a person wrote. PolicyError names the clause that is wrong, and what is expected there."""
    return _parse(text, MOST_TEXT)


def read(data: bytes) -> Policy:
    """The policy of a canonical encoding. PolicyError for all other bytes, also for policies that no text can mean."""
    if len(data) > MOST_BYTES:
        raise PolicyError(f"a policy of {len(data)} bytes; expected at most {MOST_BYTES}")
    try:
        policy = Policy.decode(data)
    except WireError as error:
        raise PolicyError(f"bytes that are no policy: {error}") from None
    if _parse(show(policy), _MOST_CANONICAL) != policy:
        raise PolicyError("clauses that are not in canonical form; expected what `skyloom route check` prints")
    return policy


def _parse(text: str, most: int) -> Policy:
    if len(text) > most:
        raise PolicyError(f"a policy of {len(text)} characters; expected at most {most}")
    for place, character in enumerate(text):
        if not (" " <= character <= "~" or character in "\n\t\r"):
            raise PolicyError(f"character {place + 1}, {character!r}; expected printable ASCII")
    head, *texts = [stripped for line in re.split("[;\n]", text) if (stripped := line.strip())] or [""]
    if head != HEAD:
        raise PolicyError(f"a policy that begins with {head[:40]!r}; expected {HEAD!r}")
    if len(texts) > MOST_CLAUSES:
        raise PolicyError(f"{len(texts)} clauses; expected at most {MOST_CLAUSES}")
    draft = _Draft()
    for number, each in enumerate(texts, 1):
        draft.add(_Clause(number, each))
    policy = canonical(draft.conditions, draft.limits, draft.keys, draft.reactions)
    _check_existential(policy)
    if found := contradiction(policy):
        raise Contradiction(found)
    return policy


def _check_existential(policy: Policy) -> None:
    any_hop = sum(each.scope is Scope.ANY or each.kind is Kind.VIA_ANY for each in policy.conditions)
    chains = sum(len(each.names) for each in policy.conditions if each.kind is Kind.VIA_ALL)
    if any_hop + chains > EXISTENTIAL_MOST:
        raise PolicyError(
            f"{any_hop} clauses of `any hop` and `via any` and {chains} chains of `via all`; "
            f"expected {EXISTENTIAL_MOST} together at most, as each doubles the search"
        )


class _Clause:
    """The tokens of one clause, read from left to right."""

    def __init__(self, number: int, text: str) -> None:
        self.number = number
        self.text = text
        self._tokens: list[str] = _TOKEN.findall(text)
        self._at = 0

    @property
    def next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def error(self, found: str, expected: str) -> PolicyError:
        shown = self.text if len(self.text) <= 120 else f"{self.text[:117]}..."
        return PolicyError(f"clause {self.number}, `{shown}`: {found}; expected {expected}")

    def refused(self, expected: str) -> PolicyError:
        return self.error(repr(self.next[:60]) if self.next else "its end", expected)

    def take(self) -> str:
        token = self.next
        self._at += 1
        return token

    def skip(self, token: str) -> bool:
        """Whether the next token is this one, which is taken then."""
        found = self.next == token
        self._at += found
        return found

    def expect(self, *tokens: str) -> str:
        if self.next not in tokens:
            raise self.refused(" or ".join(map(repr, tokens)))
        return self.take()

    def member(self, of: type[Word]) -> Word:
        """A member of an enumeration by its name; `NONE` has none."""
        names = {word(each): each for each in of if each.name != "NONE"}
        if self.next not in names:
            raise self.refused(f"one of {', '.join(names)}")
        return names[self.take()]

    def number_of(self, unit: Unit, sign: str = "", step: int = 0) -> int:
        """A value of a unit, in its range after the step that a sign such as `>` makes."""
        value = _value(self.next, unit)
        if value is None:
            raise self.refused(unit.expected)
        return self.ranged(value + step, unit, f"{sign} {self.take()}".strip())

    def ranged(self, value: int, unit: Unit, shown: str) -> int:
        if not unit.least <= value <= unit.most:
            raise self.error(
                f"{shown}", f"{unit.expected}, from {unit.least} to {unit.most} {_OF.get(unit, '')}".strip()
            )
        return value

    def names(self, form: re.Pattern[str], what: str) -> tuple[str, ...]:
        """A set, in the order in which it is written."""
        if not self.skip("{"):
            raise self.refused(f"a set such as {{{what}}}")
        names: list[str] = []
        while True:
            name = self.next
            if not form.fullmatch(name) or len(name) > _MOST_NAME:
                raise self.refused(f"a name such as {what}")
            if name in names:
                raise self.error(f"{name} twice", "each name once")
            names.append(self.take())
            if self.expect(",", "}") == "}":
                return tuple(names)

    def end(self) -> None:
        if self.next:
            raise self.refused("its end")


_OF = {Unit.SPAN: "ns", Unit.SHARE: "millionths"}


def _value(token: str, unit: Unit) -> int | None:
    """What a token says in a unit, or None."""
    if unit is Unit.SPAN:
        return int(found[1]) * SPANS_NS[found[2]] if (found := _SPAN.fullmatch(token)) else None
    if unit is Unit.SHARE:
        if found := _PERCENT.fullmatch(token):
            return int(found[1]) * 10_000 + int((found[2] or "").ljust(4, "0"))
        found = _FRACTION.fullmatch(token)
        return int(found[1]) * 1_000_000 // int(found[2]) if found and int(found[2]) else None
    if unit is Unit.YES:
        return 1 if token == "true" else None
    return int(token) if _WHOLE.fullmatch(token) else None


@dataclass(slots=True)
class _Draft:
    """The clauses so far."""

    conditions: list[Condition] = field(default_factory=list)
    limits: list[Limit] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)
    reactions: list[Reaction] = field(default_factory=list)

    def add(self, clause: _Clause) -> None:
        start = clause.next if clause.next in _STARTS else clause.expect("require", "prefer", "limit", "on")
        match start:
            case "prefer":
                self._prefer(clause)
            case "limit":
                limit = _limit(clause)
                clause.end()
                _check_first(clause, limit.kind, (each.kind for each in self.limits))
                self.limits.append(limit)
            case "on":
                reaction = _reaction(clause)
                clause.end()
                _check_first(clause, reaction.event, (each.event for each in self.reactions))
                self.reactions.append(reaction)
            case _:  # `require` may be left out
                condition = _condition(clause)
                clause.end()
                if condition.kind in _ONCE and any(each.kind is condition.kind for each in self.conditions):
                    raise clause.error(f"{word(condition.kind)} for the second time", "it once")
                self.conditions.append(condition)

    def _prefer(self, clause: _Clause) -> None:
        while True:
            key = clause.member(Key)
            _check_first(clause, key, self.keys)
            self.keys.append(key)
            if not clause.skip(","):
                return clause.end()


def _check_first(clause: _Clause, member: IntEnum, known: Iterable[IntEnum]) -> None:
    if member in known:
        raise clause.error(f"{word(member)} for the second time", "it once")


_SCOPES: Mapping[tuple[str, str], Scope] = {
    ("each", "hop"): Scope.EACH,
    ("each", "chain"): Scope.EACH,
    ("each", "transit"): Scope.TRANSIT,
    ("any", "hop"): Scope.ANY,
}
_STARTS = ("each", "any", "route", "source", "via", "avoid", "disjoint", "mode", "registry", "names")


def _condition(clause: _Clause) -> Condition:
    start = clause.expect(*_STARTS)
    match start:
        case "each" | "any":
            seconds = [second for first, second in _SCOPES if first == start]
            return _scoped(clause, _SCOPES[start, clause.expect(*seconds)])
        case "route" | "source":
            return _scoped(clause, Scope.ROUTE if start == "route" else Scope.SOURCE)
        case "via":
            kind = Kind.VIA_ALL if clause.expect("any", "all") == "all" else Kind.VIA_ANY
            return Condition(kind, names=clause.names(_CHAIN, "chain-x.zone"))
        case "avoid":
            names = clause.names(_CHAIN, "chain-x.zone")
            return Condition(Kind.CHAINS, Scope.EACH, comparison=Comparison.NOT_IN, names=names)
        case "disjoint":
            return Condition(Kind.DISJOINT, value=clause.number_of(Unit.HOPS))
        case "mode":
            return Condition(Kind.MODE, names=_modes(clause))
        case "registry":
            return Condition(Kind.REGISTRY, names=clause.names(_CHAIN, "registry.zone"))
        case _:
            clause.expect("agree")
            return Condition(Kind.NAMES_AGREE)


def _modes(clause: _Clause) -> tuple[str, ...]:
    names = clause.names(_CLIENT, MODES[0])
    for name in names:
        if name not in MODES:
            raise clause.error(f"mode {name}", f"modes of {', '.join(MODES)}")
    return names


def _scoped(clause: _Clause, scope: Scope) -> Condition:
    if clause.next in ("in", "not"):
        if scope is Scope.ROUTE:
            raise clause.refused("an attribute; or `each chain`, `each transit`, `source` or `any hop` before a set")
        return Condition(Kind.CHAINS, scope, comparison=_membership(clause), names=clause.names(_CHAIN, "chain-x.zone"))
    attribute = clause.member(Attribute)
    name = word(attribute)
    if attribute >= FIRST_CLAIM:
        raise clause.error(
            f"{name} is a claim of relayers, which no chain can prove",
            "what is proven; it may stand in `prefer` or `limit`",
        )
    if (attribute is Attribute.HOPS) != (scope is Scope.ROUTE) and attribute not in PROVABLE:
        raise clause.error(
            f"{name} in this scope", "`route hops`" if attribute is Attribute.HOPS else f"`each hop {name}`"
        )
    if attribute is Attribute.CLIENT_TYPE:
        return Condition(
            Kind.CLIENT_TYPE, scope, comparison=_membership(clause), names=clause.names(_CLIENT, "tendermint")
        )
    if attribute is Attribute.HOPS:
        comparison, value = _compared(clause, Unit.HOPS)
        return Condition(Kind.ATTRIBUTE, scope, attribute, comparison, value)
    return _proven(clause, scope, attribute)


def _membership(clause: _Clause) -> Comparison:
    negated = clause.skip("not")
    clause.expect("in")
    return Comparison.NOT_IN if negated else Comparison.IN


def _proven(clause: _Clause, scope: Scope, attribute: Attribute) -> Condition:
    provable, name = PROVABLE[attribute], word(attribute)
    comparison, value = _compared(clause, provable.unit)
    if attribute is Attribute.TRANSIT_OK and (scope, comparison) != (Scope.TRANSIT, Comparison.EQUAL):
        raise clause.error("transit_ok in another form", "`each transit transit_ok = true`")
    if scope is Scope.ROUTE:
        # What holds of the worst along the route holds of each; the other way round it is a matter of one.
        if comparison is not (Comparison.AT_LEAST if provable.worst_is_least else Comparison.AT_MOST):
            sign = ">=" if provable.worst_is_least else "<="
            raise clause.error(
                f"another comparison than {sign} of the route's {name}, its worst one", f"{sign}, or `any hop {name}`"
            )
        scope = Scope.EACH
    return Condition(Kind.ATTRIBUTE, scope, attribute, comparison, value)


def _compared(clause: _Clause, unit: Unit) -> tuple[Comparison, int]:
    """A comparison and its value; `>` and `<` become the next number."""
    signs = {
        ">=": (Comparison.AT_LEAST, 0),
        "<=": (Comparison.AT_MOST, 0),
        "=": (Comparison.EQUAL, 0),
        "!=": (Comparison.NOT_EQUAL, 0),
        ">": (Comparison.AT_LEAST, 1),
        "<": (Comparison.AT_MOST, -1),
    }
    sign = clause.expect(*signs)
    comparison, step = signs[sign]
    return comparison, clause.number_of(unit, sign, step)


def _limit(clause: _Clause) -> Limit:
    kind = clause.member(LimitKind)
    match kind:
        case LimitKind.HOPS:
            return Limit(kind, clause.number_of(Unit.HOPS))
        case LimitKind.TIME:
            return Limit(kind, clause.number_of(Unit.SPAN))
        case LimitKind.FEE:
            if not (found := _FEE.fullmatch(clause.next)):
                raise clause.refused("an amount with its denom, such as 100000ufee")
            return Limit(kind, clause.ranged(int(found[1]), Unit.AMOUNT, clause.take()), found[2])
        case LimitKind.BYTES:
            return Limit(kind, clause.number_of(Unit.SIZE))
        case _:
            return Limit(kind, clause.number_of(Unit.AMOUNT))


_MOST_RELAXED_PERCENT = 1000


def _reaction(clause: _Clause) -> Reaction:
    event, action = clause.member(Event), clause.member(Action)
    if action is Action.HOLD:
        return Reaction(event, action, clause.number_of(Unit.SPAN))
    if action is Action.RELAX:
        percent = clause.number_of(Unit.COUNT)
        if percent > _MOST_RELAXED_PERCENT:
            raise clause.error(f"relax {percent}", f"percent, from 1 to {_MOST_RELAXED_PERCENT}")
        return Reaction(event, action, percent)
    return Reaction(event, action)

"""A policy as its canonical protobuf message: what is hashed, what travels, and what is evaluated.

Invariant: a `Policy` that `canonical` has made, or that `read` has accepted, has one encoding: conditions and sets in
ascending order, each once, times in nanoseconds, shares in millionths; all that need not be written is left out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from enum import IntEnum
from hashlib import sha256

from nodes.ibc.proto.wire import Message, enum, message, repeated, string, uint64
from nodes.xroute.policy.terms import Action, Attribute, Comparison, Event, Key, Kind, Scope

MOST_BYTES = 4096  # of an encoding; what 1 KiB of text becomes is shorter
MOST_CLAUSES = 32


class LimitKind(IntEnum):
    """What is limited. The destination checks hops and bytes; relayers keep to the others."""

    NONE = 0
    HOPS = 1
    FEE = 2
    TIME = 3  # in nanoseconds, by claims of latency
    RETRIES = 4
    BYTES = 5  # of a proof


@message("xroute.v1.Condition")
class Condition(Message):
    """A clause `require`: what a route must satisfy, as the destination checks it."""

    kind: Kind = enum(1, Kind)
    scope: Scope = enum(2, Scope)
    attribute: Attribute = enum(3, Attribute)
    comparison: Comparison = enum(4, Comparison)
    value: int = uint64(5)
    names: tuple[str, ...] = repeated(6, str)  # of a set


@message("xroute.v1.Limit")
class Limit(Message):
    """A clause `limit`."""

    kind: LimitKind = enum(1, LimitKind)
    value: int = uint64(2)
    denom: str = string(3)  # of a fee


@message("xroute.v1.Reaction")
class Reaction(Message):
    """A clause `on`."""

    event: Event = enum(1, Event)
    action: Action = enum(2, Action)
    value: int = uint64(3)  # nanoseconds of `hold`, percent of `relax`


Clause = Condition | Limit | tuple[Key, ...] | Reaction


@message("xroute.v1.Policy")
class Policy(Message):
    """Conditions that must hold, limits, what is preferred (most important first), and what is done on events."""

    conditions: tuple[Condition, ...] = repeated(1, Condition)
    limits: tuple[Limit, ...] = repeated(2, Limit)
    preferences: tuple[Key, ...] = repeated(3, Key)
    reactions: tuple[Reaction, ...] = repeated(4, Reaction)

    @property
    def policy_id(self) -> bytes:
        """SHA-256 of the canonical encoding."""
        return sha256(self.encode()).digest()

    @property
    def clauses(self) -> tuple[Clause, ...]:
        """All clauses in canonical order; the index of a clause is its place here. Preferences are one clause."""
        return (*self.conditions, *self.limits, *((self.preferences,) if self.preferences else ()), *self.reactions)

    @property
    def disjoint(self) -> int:
        """Routes without a common transit by which the message must be delivered."""
        return next((each.value for each in self.conditions if each.kind is Kind.DISJOINT), 1)

    def limit(self, kind: LimitKind) -> int | None:
        """The limit of a kind, or None."""
        return next((each.value for each in self.limits if each.kind is kind), None)


def canonical(
    conditions: Iterable[Condition], limits: Iterable[Limit], keys: Iterable[Key], reactions: Iterable[Reaction]
) -> Policy:
    """A policy of clauses that come in any order."""
    ordered = (_with_ordered_set(each) for each in conditions)
    return Policy(
        tuple(sorted(set(ordered), key=_order)),
        tuple(sorted(limits, key=lambda limit: limit.kind)),
        tuple(keys),
        tuple(sorted(reactions, key=lambda reaction: reaction.event)),
    )


def _with_ordered_set(condition: Condition) -> Condition:
    """The order of registries has a meaning: the first that answers counts."""
    if condition.kind is Kind.REGISTRY:
        return condition
    return dataclasses.replace(condition, names=tuple(sorted(condition.names)))


def _order(condition: Condition) -> tuple[int, int, int, int, int, tuple[str, ...]]:
    return (
        condition.kind,
        condition.scope,
        condition.attribute,
        condition.comparison,
        condition.value,
        condition.names,
    )

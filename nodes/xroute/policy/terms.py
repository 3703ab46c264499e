"""The words of the policy language: what may be asked of a route, in which scope, and in which unit.

Invariant: each attribute has one kind of value and one direction in which it is worst along a route. Numbers of members
travel in canonical encodings, and are never used again for something else.
"""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import NamedTuple


class PolicyError(ValueError):
    """A policy, or bytes, that are refused. The text names the clause, what was found and what is expected."""


class Contradiction(PolicyError):
    """Clauses that no route can satisfy together."""


class Kind(IntEnum):
    """What a condition is about."""

    ATTRIBUTE = 0  # a number of hops or of the route, compared with a value
    CLIENT_TYPE = 1  # types of clients: in a set, or not in it
    CHAINS = 2  # chains: in a set, or not in it
    VIA_ANY = 3  # at least one transit of a set
    VIA_ALL = 4  # every chain of a set is a transit
    DISJOINT = 5  # deliver by so many routes that share no transit
    MODE = 6  # modes of delivery
    REGISTRY = 7  # registries whose records count, in order
    NAMES_AGREE = 8  # all of these registries say the same


class Scope(IntEnum):
    """Which hops a condition speaks of."""

    ROUTE = 0  # the route as a whole
    EACH = 1  # all hops: `each hop` of a client, `each chain` of a chain (transits and the source)
    TRANSIT = 2  # hops whose chain is a transit
    SOURCE = 3  # the last hop
    ANY = 4  # at least one hop


class Attribute(IntEnum):
    """What is compared. The first ones can be proved; those from `FIRST_CLAIM` on are claims of relayers."""

    NONE = 0
    NAKAMOTO = 1
    VALIDATORS = 2
    TOP1_SHARE = 3
    CLIENT_TYPE = 4
    TRUST_LEVEL = 5
    TRUSTING_LEFT = 6
    FRESHNESS = 7
    DELAY = 8
    FINALITY = 9
    STAKE_VALUE = 10
    MISBEHAVIOUR_AGE = 11
    ATTEST_M = 12
    ATTEST_N = 13
    TRANSIT_OK = 14
    HOPS = 15
    FEE = 16
    LATENCY = 17
    LOAD = 18
    SUCCESS = 19
    TRANSIT_SHARE = 20
    BLOCK_MS = 21


class Comparison(IntEnum):
    """How. `>` and `<` are written as these, with the next number."""

    AT_LEAST = 0
    AT_MOST = 1
    EQUAL = 2
    NOT_EQUAL = 3
    IN = 4
    NOT_IN = 5


class Key(IntEnum):
    """What is preferred: the least, except for `nakamoto` (the greatest weakest chain) and `success`."""

    NONE = 0
    FEE = 1
    LATENCY = 2
    HOPS = 3
    NAKAMOTO = 4
    LOAD = 5
    SUCCESS = 6
    SPREAD = 7


class Event(IntEnum):
    """What may befall a message on its way."""

    NONE = 0
    EXPIRED = 1  # a client of the route has expired
    FROZEN = 2  # a client of the route has seen its chain misbehave
    HALTED = 3  # a chain of the route makes no blocks
    REJECTED = 4  # the destination refused the route by a clause
    TIMEOUT = 5  # the message itself has timed out


class Action(IntEnum):
    """What is done then."""

    NONE = 0
    REROUTE = 1
    REFUND = 2
    HOLD = 3  # for so many nanoseconds
    RELAX = 4  # limits of fee and time grow by so many percent


class Unit(Enum):
    """How a value is written, and the numbers that it may have."""

    COUNT = ("a whole number", 1, 65_535)
    HOPS = ("a number of hops", 1, 8)  # a proof has at most eight
    AMOUNT = ("a whole number", 0, (1 << 63) - 1)
    SIZE = ("a number of bytes", 1, (1 << 63) - 1)
    SHARE = ("a share such as 25%, 12.5% or 1/3", 0, 1_000_000)  # in millionths
    SPAN = ("a duration such as 120s, 36h or 14d", 0, (1 << 63) - 1)  # in nanoseconds
    YES = ("true", 1, 1)

    def __init__(self, expected: str, least: int, most: int) -> None:
        self.expected = expected
        self.least = least
        self.most = most


class Provable(NamedTuple):
    """How an attribute is proved: its unit, the field of HopAttributes, whose it is, and its worst along a route."""

    unit: Unit
    field: str
    of_client: bool
    worst_is_least: bool


PROVABLE = {
    Attribute.NAKAMOTO: Provable(Unit.COUNT, "nakamoto", False, True),
    Attribute.VALIDATORS: Provable(Unit.COUNT, "validators", False, True),
    Attribute.TOP1_SHARE: Provable(Unit.SHARE, "top1_share_ppm", False, False),
    Attribute.TRUST_LEVEL: Provable(Unit.SHARE, "trust_level_ppm", True, True),
    Attribute.TRUSTING_LEFT: Provable(Unit.SPAN, "trusting_left_ns", True, True),
    Attribute.FRESHNESS: Provable(Unit.SPAN, "freshness_ns", True, False),
    Attribute.DELAY: Provable(Unit.SPAN, "delay_ns", True, False),
    Attribute.FINALITY: Provable(Unit.SPAN, "finality_ns", False, False),
    Attribute.STAKE_VALUE: Provable(Unit.AMOUNT, "stake_value", False, True),
    Attribute.MISBEHAVIOUR_AGE: Provable(Unit.SPAN, "misbehaviour_age_ns", False, True),
    Attribute.ATTEST_M: Provable(Unit.COUNT, "attest_m", True, True),
    Attribute.ATTEST_N: Provable(Unit.COUNT, "attest_n", True, True),
    Attribute.TRANSIT_OK: Provable(Unit.YES, "transit_ok", False, True),
}
FIRST_CLAIM = Attribute.FEE
MODES = ("e2e", "hop", "quorum", "zk-model")
EXISTENTIAL_MOST = 4  # of `any hop`, `via any` and the chains of `via all` together: each doubles the search


def word(member: IntEnum) -> str:
    """How a member is written in a policy."""
    return member.name.lower()

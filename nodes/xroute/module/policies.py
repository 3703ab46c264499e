"""Policies on a chain: those that senders committed to, and what applications here demand themselves.

Invariant: a message is judged by the conjunction of its sender's policy, which its packet names by hash, and the
minimum of the application that it is for.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from hashlib import sha256

from nodes.ibc.core.state import Context
from nodes.xroute import gas
from nodes.xroute.module.book import store_of, supply
from nodes.xroute.module.terms import Terms
from nodes.xroute.policy.clauses import Policy
from nodes.xroute.policy.conjunction import strictest
from nodes.xroute.policy.parser import read
from nodes.xroute.policy.terms import Kind, PolicyError, Scope
from nodes.xroute.proofs import paths
from nodes.xroute.proofs.messages import Mode
from nodes.xroute.proofs.parcel import Parcel
from nodes.xroute.proofs.rejection import Check, RouteRejected

__all__ = [
    "judged",
    "known",
    "minimum_of",
    "paid_policy",
    "policy_of",
    "remember",
    "require_opt_in",
    "reversed_policy",
    "without_modes",
]

_KNOWN = 256
policy_of = lru_cache(_KNOWN)(read)
"""The policy of a canonical encoding, as `parser.read` has it; reading one is dear, and the same ones come again."""


def paid_policy(context: Context, data: bytes) -> Policy:
    """`policy_of`, in a message that pays for the reading, whether it is cached or not."""
    context.spend(gas.POLICY_BYTE * len(data))
    return policy_of(data)


def judged(context: Context, parcel: Parcel, supplied: bytes, terms: Terms) -> Policy:
    """What a message's route has to satisfy here. RouteRejected for another policy than the sender's."""
    wanted = parcel.envelope.policy_id
    data = supplied or known(context, parcel)
    if (found := sha256(data).digest()) != wanted:
        raise RouteRejected(Check.POLICY, f"policy {found.hex()}", f"{wanted.hex()}, or its bytes were not known here")
    try:
        policy = paid_policy(context, data)
        minimum = minimum_of(parcel, terms)
        return strictest(policy, minimum) if minimum.clauses else policy
    except PolicyError as error:
        raise RouteRejected(Check.POLICY, str(error), "one that the receiver can accept") from None


def minimum_of(parcel: Parcel, terms: Terms) -> Policy:
    """What the application that a message is for demands of routes, whatever the sender's policy says."""
    return terms.minimum.get(parcel.envelope.payload.destination_port, Policy())


def known(context: Context, parcel: Parcel) -> bytes:
    """The sender's policy as it was supplied lately; b"" for one without clauses, and for one that was not."""
    return store_of(context).get(paths.policy(parcel.envelope.policy_id)) or b""


def remember(context: Context, parcel: Parcel, supplied: bytes) -> None:
    """Keep a policy that was supplied, so that its id is enough for a while."""
    if supplied:
        supply(context, paths.policy(parcel.envelope.policy_id), supplied)


def reversed_policy(policy: Policy) -> Policy:
    """What the way back has to satisfy: the same, but for what is asked of the source, which is its near end."""
    return replace(policy, conditions=tuple(each for each in policy.conditions if each.scope is not Scope.SOURCE))


def without_modes(policy: Policy) -> Policy:
    """A policy for a route that contradicts a delivery of another mode."""
    return replace(policy, conditions=tuple(each for each in policy.conditions if each.kind is not Kind.MODE))


def require_opt_in(parcel: Parcel, policy: Policy, terms: Terms) -> None:
    """RouteRejected unless a mode without proofs is allowed by the policy, and named by the receiver's minimum."""
    mode: Mode = parcel.envelope.mode
    for index, condition in enumerate(policy.conditions):
        if condition.kind is Kind.MODE and mode.word not in condition.names:
            raise RouteRejected(Check.CLAUSE, f"mode {mode.word}", f"one of {', '.join(condition.names)}", index)
    minimum = minimum_of(parcel, terms)
    if not any(each.kind is Kind.MODE for each in minimum.conditions):  # the policy may be as made up as the message
        raise RouteRejected(Check.CLAUSE, f"mode {mode.word}", "a receiver whose minimum names it")

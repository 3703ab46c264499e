"""What is proved of a route, hop by hop: the values that policies are judged by.

Invariant: a value stands here only where a proof gave it; `None` is a value that is not proven, and no condition on it
holds. All numbers are integers: times in nanoseconds, shares in millionths (ppm).

A route leads from the destination to the source, as its proof does. Hop i is the client on chain i that tracks chain
i + 1; chain 0 is the destination, the last hop's chain is the source, and those between are the transits. Attributes
of a client are about the verifying side of the hop, those of a chain about the chain that the client tracks.
"""

from __future__ import annotations

from dataclasses import dataclass

from nodes.ibc.client.tendermint import Status
from nodes.xroute.identity import ChainIdentity


@dataclass(frozen=True, slots=True)
class HopAttributes:
    """One hop: the client on the chain nearer to the destination, and the chain that it tracks."""

    identity: ChainIdentity  # of the tracked chain
    name: str | None = None  # of the tracked chain, to whoever has one for each: "osmosis.cosmos"; None on chains
    registry: str | None = None  # name of a registry chain that has a record of the tracked chain

    # of the client
    client_type: str | None = None  # without the number before it: "tendermint", "attestation"
    status: Status | None = None
    trust_level_ppm: int | None = None  # rounded down
    trusting_left_ns: int | None = None  # until the consensus state used here is no longer trusted
    freshness_ns: int | None = None  # age of the consensus state used here
    delay_ns: int | None = None  # that the connection makes a proof wait
    attest_m: int | None = None  # attestors that must sign; None for clients without attestors
    attest_n: int | None = None  # attestors there are

    # of the tracked chain
    nakamoto: int | None = None  # smallest number of validators with more than a third of the power
    validators: int | None = None
    top1_share_ppm: int | None = None  # of the power, the strongest validator's; rounded up
    transit_ok: bool | None = None  # whether the chain's transit policy lets this route pass
    stake_value: int | None = None  # bonded, in whole units of the registry's reference currency
    misbehaviour_age_ns: int | None = None  # since the last misbehaviour on record
    finality_ns: int | None = None  # that the chain takes to make a block final


@dataclass(frozen=True, slots=True)
class RouteAttributes:
    """All hops of one route, from the destination towards the source, and what is proven of the delivery as a whole."""

    hops: tuple[HopAttributes, ...]
    mode: str = "e2e"  # of delivery: one of `terms.MODES`
    names_agree: bool | None = None  # whether all registries that the policy lists say the same of every chain

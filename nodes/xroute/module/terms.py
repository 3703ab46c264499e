"""What a scenario sets of the module `xroute` on a chain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nodes.xroute.policy.clauses import Policy
from nodes.xroute.proofs.names import NameVerifier, NoNames
from nodes.xroute.proofs.transit import TransitPolicy

__all__ = ["LEAST_VOTES", "Terms"]

LEAST_VOTES = 2
_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Terms:
    """Terms of one chain. Times are in nanoseconds."""

    denom: str = "stake"  # of relayers' stakes
    window_ns: int = 2 * _SECOND_NS  # in which one relayer alone earns the delivery: two block times
    challenge_ns: int = 10 * _SECOND_NS  # in which a quorum may be contradicted
    leave_ns: int = 60 * _SECOND_NS  # that a stake waits before it is paid out
    least_stake: int = 1000  # of a relayer
    least_votes: int = LEAST_VOTES  # of a quorum, whatever the sender says
    minimum: Mapping[str, Policy] = field(default_factory=dict)  # what applications demand of routes, by port
    transit: TransitPolicy = field(default_factory=TransitPolicy)  # published in the genesis
    authority: str = ""  # address that may publish another one; "" is nobody
    names: NameVerifier = field(default_factory=NoNames)
    model_key: bytes = b""  # of the oracle that stands for a succinct proof; "" where the model is off

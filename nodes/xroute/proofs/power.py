"""How power is spread over a chain's validators: what follows from the set that a header names by its hash.

Invariant: a `Power` that `power_of` returns is of exactly the validators with that hash, each with a power above 0.
"""

from __future__ import annotations

from collections.abc import Sequence

from emulator.model.errors import Unfit
from nodes.ibc.comet import merkle
from nodes.ibc.proto.comet import SimpleValidator
from nodes.xroute.policy.power import nakamoto, top1_share_ppm
from nodes.xroute.proofs.messages import Power

MOST_VALIDATORS = 1000


def power_of(validators: Sequence[SimpleValidator], validators_hash: bytes) -> Power:
    """The facts of a set. Unfit where its hash is another, or it holds what only pads it: no power, a key twice."""
    if not 0 < len(validators) <= MOST_VALIDATORS:
        raise Unfit(f"{len(validators)} validators", f"1 to {MOST_VALIDATORS}")
    if len({each.pub_key for each in validators}) < len(validators):
        raise Unfit("a validator's key twice", "each once")
    found = merkle.root([each.encode() for each in validators])
    if found != validators_hash:
        raise Unfit(f"validators with hash {found.hex()}", validators_hash.hex())
    powers = [each.voting_power for each in validators]
    return Power(nakamoto(powers), len(powers), top1_share_ppm(powers))

"""The validators of a chain: who they are at a height, and how they sign where all of them live in one process.

Invariant: validators at a height follow from the settings alone, so a chain that starts again has the same. The set of
height h + 1 is named by the header of height h (`next_validators_hash`), as light clients demand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from nodes.ibc.chain.blocks import Block
from nodes.ibc.chain.keys import ValidatorKey
from nodes.ibc.comet.hashes import ordered, vote_sign_bytes
from nodes.ibc.proto.comet import BlockIDFlag, Commit, CommitSig, PublicKey, Validator, ValidatorSet
from nodes.ibc.proto.well_known import Timestamp

__all__ = ["Churn", "Committee"]


@dataclass(frozen=True, slots=True)
class Churn:
    """How the validator set changes: every `every_blocks` blocks (0: never) so many of its members are replaced."""

    every_blocks: int = 0
    replaced: int = 1


class Committee:
    """All validators that a chain ever has. At most some thousand keys are held at once."""

    def __init__(self, chain_id: str, powers: tuple[int, ...], churn: Churn = Churn()) -> None:
        if not powers or min(powers) <= 0 or not 0 <= churn.replaced <= len(powers) or churn.every_blocks < 0:
            raise ValueError(f"powers {powers} and {churn}; expected powers above 0 and members that can be replaced")
        self.chain_id = chain_id
        self.powers = powers
        self._churn = churn
        self._key: Callable[[int, int], ValidatorKey] = lru_cache(1 << 12)(self._made)
        self._set_at_era = lru_cache(64)(self._made_set)

    def at(self, height: int) -> ValidatorSet:
        """The validators of a height, in the order in which commits list them: greatest power first, then address."""
        return self._set_at_era(self._era(height))[0]

    def proposer(self, height: int) -> bytes:
        """Address of the proposer: members take turns. No rule of a light client rests on whose turn it is."""
        members = self.at(height).validators
        return members[height % len(members)].address

    def key(self, height: int, place: int) -> ValidatorKey:
        """The key with which the validator of a place among `powers` signs blocks of a height."""
        return self._key(place, self._generation(place, self._era(height)))

    def commit(self, block: Block, time_ns: int) -> Commit:
        """The precommits of all validators for a block, all signed at one moment."""
        _, keys = self._set_at_era(self._era(block.height))
        when = Timestamp.of_ns(time_ns)
        votes = [CommitSig(BlockIDFlag.COMMIT, key.address, when) for key in keys]
        signed = vote_sign_bytes(self.chain_id, Commit(block.height, 0, block.id, tuple(votes)), 0)  # the same for all
        signatures = (replace(vote, signature=key.sign(signed)) for vote, key in zip(votes, keys, strict=True))
        return Commit(block.height, 0, block.id, tuple(signatures))

    def _era(self, height: int) -> int:
        return max(0, height - 1) // self._churn.every_blocks if self._churn.every_blocks else 0

    def _generation(self, place: int, era: int) -> int:
        """How often a place was filled anew: members are replaced in turn, `replaced` in an era."""
        count = len(self.powers)
        return (era * self._churn.replaced + count - 1 - place) // count

    def _made(self, place: int, generation: int) -> ValidatorKey:
        return ValidatorKey(f"{self.chain_id}/validator/{place}/{generation}")

    def _made_set(self, era: int) -> tuple[ValidatorSet, tuple[ValidatorKey, ...]]:
        members = []
        for place, power in enumerate(self.powers):
            key = self._key(place, self._generation(place, era))
            members.append((Validator(key.address, PublicKey(ed25519=key.public), power), key))
        keys = {validator.address: key for validator, key in members}
        validators = ordered(validator for validator, _ in members)
        return ValidatorSet(validators, None, sum(self.powers)), tuple(keys[each.address] for each in validators)

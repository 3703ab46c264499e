"""The votes for one block.

Invariant: each validator of the height counts once, by a signature that was verified, for this block alone; there is a
commit only where those hold more than two thirds of the power.
"""

from __future__ import annotations

from collections import Counter

from emulator.model.errors import DataError
from nodes.ibc.chain.blocks import Block
from nodes.ibc.comet.commits import SignatureCache
from nodes.ibc.comet.hashes import vote_sign_bytes
from nodes.ibc.comet.moments import write_time
from nodes.ibc.proto.comet import BlockID, BlockIDFlag, Commit, CommitSig, SignedMsgType, ValidatorSet, Vote
from nodes.ibc.proto.well_known import Timestamp

__all__ = ["Tally", "signed_bytes"]


def signed_bytes(chain_id: str, vote: Vote) -> bytes:
    """What the signature of a vote covers."""
    entry = CommitSig(BlockIDFlag.COMMIT, vote.validator_address, vote.timestamp)
    return vote_sign_bytes(chain_id, Commit(vote.height, vote.round, vote.block_id, (entry,)), 0)


class Tally:
    """Precommits for a block. Those for another block of its height show that their validators are at fault."""

    def __init__(self, chain_id: str, block: Block, validators: ValidatorSet, cache: SignatureCache) -> None:
        self.block = block
        self._chain_id = chain_id
        self._members = {each.address: each for each in validators.validators}
        self._total = validators.total_voting_power
        self._cache = cache
        self._votes: dict[bytes, CommitSig] = {}  # by address
        self._elsewhere: dict[bytes, BlockID] = {}  # by address: the other block that it signed

    def __contains__(self, address: bytes) -> bool:
        return address in self._votes

    def add(self, vote: Vote) -> str:
        """Count a vote; "" or why it does not count. DataError where too many have signed another block."""
        if vote.height < self.block.height:
            return "late"
        if (vote.type, vote.height, vote.round) != (SignedMsgType.PRECOMMIT, self.block.height, 0):
            return "misplaced"
        member = self._members.get(vote.validator_address)
        if member is None:
            return "unknown"
        if not self._may_be_time(vote.timestamp):
            return "time"
        if not self._cache.is_valid(member.pub_key, signed_bytes(self._chain_id, vote), vote.signature):
            return "signature"
        if vote.block_id != self.block.id:
            self._elsewhere[member.address] = vote.block_id
            self._require_most_honest()
            return "other block"
        if member.address in self._votes:
            return "repeated"
        self._votes[member.address] = CommitSig(BlockIDFlag.COMMIT, member.address, vote.timestamp, vote.signature)
        return ""

    def commit(self) -> Commit | None:
        """The commit, once there is one: an entry for each validator, in the order of the set."""
        power = sum(self._members[address].voting_power for address in self._votes)
        if 3 * power <= 2 * self._total:
            return None
        absent = CommitSig(BlockIDFlag.ABSENT)
        entries = tuple(self._votes.get(address, absent) for address in self._members)
        return Commit(self.block.height, 0, self.block.id, entries)

    def _may_be_time(self, moment: Timestamp) -> bool:
        """Whether it is after the block's, and has a form as text: the RPC shows it."""
        try:
            write_time(moment)
        except ValueError:
            return False
        return moment.ns > self.block.time_ns

    def _require_most_honest(self) -> None:
        """More than a third that sign one other block cannot all be at fault: this validator is."""
        power: Counter[BlockID] = Counter()
        for address, block_id in self._elsewhere.items():
            power[block_id] += self._members[address].voting_power
        block_id, most = power.most_common(1)[0]
        if 3 * most > self._total:
            raise DataError(
                f"block {self.block.height} of {self._chain_id} is {self.block.id.hash.hex()} here, and validators "
                f"with power {most} of {self._total} sign {block_id.hash.hex()}: this one has other settings or "
                f"another past. Start it with their settings, or delete the node's store"
            )

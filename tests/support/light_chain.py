"""A chain of signed headers without blocks: validators of known keys, whose set may change at each height.

Invariant: the same arguments make the same bytes. Height h has the time `START_NS + h * INTERVAL_NS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from nodes.ibc.comet import hashes
from nodes.ibc.comet.light import LightBlock, Trusted
from nodes.ibc.proto.comet import (
    BlockID,
    BlockIDFlag,
    Commit,
    CommitSig,
    ConsensusVersion,
    Header,
    PartSetHeader,
    PublicKey,
    SignedHeader,
    Validator,
    ValidatorSet,
)
from nodes.ibc.proto.ibc import ConsensusState, Height, MerkleRoot
from nodes.ibc.proto.ibc import Header as ClientHeader
from nodes.ibc.proto.well_known import Timestamp

START_NS = 1_700_000_000 * 10**9
INTERVAL_NS = 5 * 10**9


@lru_cache(maxsize=4096)
def private_key(name: object) -> Ed25519PrivateKey:
    """The key of the validator of a name."""
    return Ed25519PrivateKey.from_private_bytes(sha256(repr(name).encode()).digest())


@lru_cache(maxsize=4096)
def validator(name: object, power: int = 10) -> Validator:
    key = PublicKey(ed25519=private_key(name).public_key().public_bytes_raw())
    return Validator(hashes.address(key), key, power)


def keys_of(names: Iterable[object]) -> dict[bytes, Ed25519PrivateKey]:
    return {validator(name).address: private_key(name) for name in names}


class LightChain:
    """Headers of a chain; `members(height)` names the validators of a height, each of power 10."""

    def __init__(self, members: Callable[[int], Iterable[object]], chain_id: str = "made-1") -> None:
        self.chain_id = chain_id
        self._members = members
        self._blocks: dict[int, LightBlock] = {}

    def validators(self, height: int) -> tuple[Validator, ...]:
        return hashes.ordered(validator(name) for name in self._members(height))

    def header(self, height: int, app_hash: bytes | None = None) -> Header:
        members, successors = self.validators(height), self.validators(height + 1)
        return Header(
            version=ConsensusVersion(11, 1),
            chain_id=self.chain_id,
            height=height,
            time=Timestamp.of_ns(time_ns(height)),
            last_block_id=BlockID(digest("block", height - 1), PartSetHeader(1, digest("parts", height - 1))),
            last_commit_hash=digest("commit", height),
            data_hash=digest("data", height),
            validators_hash=hashes.validators_hash(members),
            next_validators_hash=hashes.validators_hash(successors),
            consensus_hash=digest("params"),
            app_hash=digest("state", height) if app_hash is None else app_hash,
            last_results_hash=digest("results", height),
            evidence_hash=digest("evidence"),
            proposer_address=members[0].address,
        )

    def signed(self, header: Header, signers: Callable[[int], bool] = lambda index: True) -> SignedHeader:
        """A header with a commit of those validators, by index, that sign."""
        members = self.validators(header.height)
        keys = keys_of(self._members(header.height))
        block_id = BlockID(hashes.header_hash(header), PartSetHeader(1, digest("parts", header.height)))
        entries = tuple(
            CommitSig(BlockIDFlag.COMMIT, each.address, Timestamp.of_ns(header.time.ns + at))
            if signers(at)
            else CommitSig(BlockIDFlag.ABSENT)
            for at, each in enumerate(members)
        )
        unsigned = Commit(header.height, 0, block_id, entries)
        signed = list(entries)
        for at, each in enumerate(entries):
            if each.block_id_flag is BlockIDFlag.COMMIT:
                vote = hashes.vote_sign_bytes(self.chain_id, unsigned, at)
                signed[at] = replace(each, signature=keys[each.validator_address].sign(vote))
        return SignedHeader(header, replace(unsigned, signatures=tuple(signed)))

    def block(self, height: int) -> LightBlock:
        if height not in self._blocks:
            signed = self.signed(self.header(height))
            self._blocks[height] = LightBlock.of(signed, self.validators(height), self.validators(height + 1))
        return self._blocks[height]

    def trusted(self, height: int) -> Trusted:
        return self.block(height).trusted()

    def update(self, trusted: int, height: int, signed: SignedHeader | None = None) -> ClientHeader:
        """The message that brings a client from one height to another."""
        return ClientHeader(
            self.block(height).signed if signed is None else signed,
            ValidatorSet(self.validators(height), self.validators(height)[0]),
            Height(1, trusted),
            ValidatorSet(self.validators(trusted + 1), self.validators(trusted + 1)[0]),
        )

    def consensus_state(self, height: int) -> ConsensusState:
        header = self.block(height).header
        return ConsensusState(header.time, MerkleRoot(header.app_hash), header.next_validators_hash)


def time_ns(height: int) -> int:
    return START_NS + height * INTERVAL_NS


def digest(*words: object) -> bytes:
    return sha256(repr(words).encode()).digest()

"""Commits: whether enough of a validator set signed a block.

Invariant: power counts only where a signature for the block was verified, and each validator counts once. Checking
stops as soon as the power is enough. Thresholds are whole numbers: `total * numerator // denominator`, to be exceeded.

Signatures are verified by libsodium, which refuses some encodings that ZIP-215 (CometBFT) admits; no honest signer
makes them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence

from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError

from emulator.model.errors import Unfit
from nodes.ibc.comet.hashes import ADDRESS_BYTES, address, vote_sign_bytes
from nodes.ibc.proto.comet import BlockIDFlag, Commit, PublicKey, Validator
from nodes.ibc.proto.ibc import Fraction

TWO_THIRDS = Fraction(2, 3)
MOST_POWER = ((1 << 63) - 1) // 8  # of a whole set, as CometBFT limits it
_KEY_BYTES, _SIGNATURE_BYTES = 32, 64
_MOST_REMEMBERED = 16_384  # signatures; some 6 MB


class CommitError(Unfit):
    """A commit or a validator set that is not valid."""


class TooLittlePower(CommitError):
    """The signatures are valid, but those of the given set do not hold enough power."""


class SignatureCache:
    """Verifies signatures and remembers valid ones, so that clients, and checks of one commit, share the work.

    Full, it forgets those that were asked for longest ago.
    """

    def __init__(self, most: int = _MOST_REMEMBERED) -> None:
        self._most = most
        self._valid: OrderedDict[tuple[bytes, bytes, bytes], None] = OrderedDict()
        self.verified = 0  # signatures that were really computed

    def is_valid(self, key: PublicKey, signed: bytes, signature: bytes) -> bool:
        """Whether a signature is that of an Ed25519 key; other kinds of keys sign nothing here."""
        public = key.ed25519
        if public is None or len(public) != _KEY_BYTES or len(signature) != _SIGNATURE_BYTES:
            return False
        entry = (public, signature, signed)
        if entry in self._valid:
            self._valid.move_to_end(entry)
            return True
        self.verified += 1
        try:
            crypto_sign_open(signature + signed, public)
        except BadSignatureError:
            return False
        self._valid[entry] = None
        if len(self._valid) > self._most:
            self._valid.popitem(last=False)
        return True


def check_commit(commit: Commit) -> None:
    """CommitError unless a commit is for a block and its entries are well formed."""
    if commit.height < 1 or commit.round < 0:
        raise CommitError(
            f"commit of height {commit.height} and round {commit.round}", "a height from 1, a round from 0"
        )
    parts = commit.block_id.part_set_header
    if len(commit.block_id.hash) != 32 or len(parts.hash) != 32 or not parts.total:
        raise CommitError(
            f"commit for block {commit.block_id.hash.hex() or 'none'}", "hashes of 32 bytes, one part or more"
        )
    if not commit.signatures:
        raise CommitError("commit without entries", "an entry for each validator")
    for at, entry in enumerate(commit.signatures):
        if entry.block_id_flag is BlockIDFlag.ABSENT:
            fits = not entry.validator_address and not entry.signature
        else:
            fits = (
                entry.block_id_flag is not BlockIDFlag.UNKNOWN
                and len(entry.validator_address) == ADDRESS_BYTES
                and 0 < len(entry.signature) <= _SIGNATURE_BYTES
            )
        if not fits:
            raise CommitError(
                f"entry {at} of the commit: {entry.block_id_flag.name}", "address and signature that fit it"
            )


def check_validators(validators: Sequence[Validator]) -> int:
    """Power of a validator set in all. CommitError unless there are validators with fitting addresses and powers."""
    total = 0
    for at, each in enumerate(validators):
        if each.voting_power < 0:
            raise CommitError(f"validator {at} with power {each.voting_power}", "0 or more")
        if each.pub_key == PublicKey() or each.address != address(each.pub_key):
            raise CommitError(f"validator {at} with address {each.address.hex()}", "the address of its key")
        total += each.voting_power
    if not 0 < total <= MOST_POWER:
        raise CommitError(f"validator set with power {total}", f"1 to {MOST_POWER}")
    return total


def verify_commit(chain_id: str, validators: Sequence[Validator], commit: Commit, cache: SignatureCache) -> None:
    """CommitError unless more than two thirds of the block's own validators signed it; they are found by index."""
    if len(validators) != len(commit.signatures):
        raise CommitError(f"commit of {len(commit.signatures)} entries", f"{len(validators)}, one for each validator")
    votes = (
        (at, validators[at]) for at, entry in enumerate(commit.signatures) if entry.block_id_flag is BlockIDFlag.COMMIT
    )
    _tally(chain_id, commit, votes, TWO_THIRDS, check_validators(validators), cache)


def verify_commit_trusting(
    chain_id: str, trusted: Sequence[Validator], commit: Commit, level: Fraction, cache: SignatureCache
) -> None:
    """TooLittlePower unless more than `level` of a trusted set signed a block; validators are found by address.

    CommitError where one of them signed twice or a signature is wrong.
    """
    total = check_validators(trusted)
    by_address: dict[bytes, Validator] = {}
    for each in trusted:
        by_address.setdefault(each.address, each)
    _tally(chain_id, commit, _trusted_votes(commit, by_address), level, total, cache)


def _trusted_votes(commit: Commit, by_address: dict[bytes, Validator]) -> Iterator[tuple[int, Validator]]:
    seen: set[bytes] = set()
    for at, entry in enumerate(commit.signatures):
        name = entry.validator_address
        if entry.block_id_flag is BlockIDFlag.COMMIT and name in by_address:
            if name in seen:
                raise CommitError(f"validator {name.hex()} signed twice", "one entry for each validator")
            seen.add(name)
            yield at, by_address[name]


def _tally(
    chain_id: str,
    commit: Commit,
    votes: Iterator[tuple[int, Validator]],
    level: Fraction,
    total: int,
    cache: SignatureCache,
) -> None:
    needed, power = total * level.numerator // level.denominator, 0
    for at, validator in votes:
        signature = commit.signatures[at].signature
        if not cache.is_valid(validator.pub_key, vote_sign_bytes(chain_id, commit, at), signature):
            raise CommitError(f"signature {at} of the commit, {signature.hex()}", f"one of {validator.address.hex()}")
        power += validator.voting_power
        if power > needed:
            return
    raise TooLittlePower(f"power {power} of {total} for the block", f"more than {needed}")

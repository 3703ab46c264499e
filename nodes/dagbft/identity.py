"""Identity: Ed25519 keys of validators, and the checks of signed messages that do not depend on the receiver's state.

Keys are derived from the run's seed, so that a run can be repeated: the seed determines every private key. That is for
emulation only. Invariant: a message for which `check_…` returns "" is well formed for its epoch and signed by the
validators that it names; any other value is the reason to refuse it, one word for counters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError

from emulator.model.errors import Unfit
from nodes.dagbft.consensus.committee import Committee
from nodes.dagbft.field_types import RUN_BYTES, SIGNATURE_BYTES, digest_of
from nodes.dagbft.messages import Certificate, Header, Vote

PUBLIC_BYTES = 32
REMEMBERED = 1 << 14  # verified signatures: at n = 50 those of some eight rounds


@dataclass(frozen=True, slots=True)
class Identity:
    """The key pair of one validator. TLS certificates are made with `key`."""

    name: str
    key: Ed25519PrivateKey = field(repr=False)
    public: bytes  # 32 bytes

    @classmethod
    def of(cls, seed: int, name: str) -> Identity:
        """The identity of a node in runs of this seed."""
        secret = blake2b(f"{seed}/{name}".encode(), digest_size=32, person=b"dagbft identity").digest()
        key = Ed25519PrivateKey.from_private_bytes(secret)
        return cls(name, key, key.public_key().public_bytes_raw())

    def sign(self, digest: bytes) -> bytes:
        """The signature (64 bytes) of a digest; the same every time."""
        return self.key.sign(digest)


def verify(public: bytes, digest: bytes, signature: bytes) -> bool:
    """Whether `signature` is that of `digest` by the key `public`; False also if any of them is malformed."""
    if len(public) != PUBLIC_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:  # libsodium takes half the time that OpenSSL does, and verifying is a third of a validator's work
        crypto_sign_open(signature + digest, public)
    except BadSignatureError:
        return False
    return True


class Verifier:
    """`verify` with a cache of valid signatures, so that a certificate whose votes were verified costs nothing.

    Only valid signatures are cached, the latest `most` of them: a flood of invalid ones displaces none.
    """

    def __init__(self, most: int = REMEMBERED) -> None:
        self.checked = 0  # signatures that were verified
        self.remembered = 0  # signatures found in the cache
        self._most = most
        self._good: dict[tuple[bytes, bytes, bytes], None] = {}  # in order of arrival

    def verify(self, public: bytes, digest: bytes, signature: bytes) -> bool:
        """Whether `signature` is that of `digest` by `public`, one of the committee's keys."""
        entry = (digest, public, signature)
        if entry in self._good:
            self.remembered += 1
            return True
        self.checked += 1
        if not verify(public, digest, signature):
            return False
        self.trust(public, digest, signature)
        return True

    def trust(self, public: bytes, digest: bytes, signature: bytes) -> None:
        """Add a signature to the cache that this process has made itself."""
        self._good[digest, public, signature] = None
        if len(self._good) > self._most:
            del self._good[next(iter(self._good))]


@dataclass(frozen=True, slots=True)
class Roster:
    """The committee of an epoch with its public keys, and the number of workers of each validator."""

    epoch: int
    publics: tuple[bytes, ...]
    workers: int = 1
    run: bytes = bytes(RUN_BYTES)  # distinguishes messages of runs with the same keys
    committee: Committee = field(init=False)

    def __post_init__(self) -> None:
        if len(set(self.publics)) != len(self.publics):
            raise Unfit("a public key twice", "one for each validator")
        if bad := [public for public in self.publics if len(public) != PUBLIC_BYTES]:
            raise Unfit(f"public key of {len(bad[0])} bytes", f"{PUBLIC_BYTES}")
        object.__setattr__(self, "committee", Committee(len(self.publics)))

    @classmethod
    def of(
        cls, seed: int, names: Sequence[str], *, epoch: int = 0, workers: int = 1, run: bytes = bytes(RUN_BYTES)
    ) -> Roster:
        """The roster of named validators in runs of this seed."""
        return cls(epoch, tuple(Identity.of(seed, name).public for name in names), workers, run)


def run_id(name: str) -> bytes:
    """The identifier of a run: a digest of the name of its folder."""
    return digest_of("dagbft run", name.encode())[:RUN_BYTES]


def run_of(store: Path) -> bytes:
    """The identifier of the run of a program whose directory is `store`: RUN/store/NODE/PROGRAM."""
    return run_id(store.parent.parent.parent.name)


def check_header(header: Header, roster: Roster, verifier: Verifier) -> str:
    """The reason for which a header is refused: a word for its first wrong field; "" if it is valid.

    Checks that depend on state are left to the receiver: the window of rounds, and the validity of the parents.
    """
    committee = roster.committee
    if header.epoch != roster.epoch:
        return "epoch"
    if header.run != roster.run:
        return "run"
    if header.author >= committee.n:
        return "author"
    if header.round < 1:
        return "round"
    if header.shard != committee.shard(header.author, header.round):
        return "shard"
    if any(worker >= roster.workers for _, worker in header.payload):
        return "worker"
    if len({batch for batch, _ in header.payload}) != len(header.payload):
        return "payload"
    least, most = (committee.quorum, committee.n) if header.round > 1 else (0, 0)
    if not least <= len(header.parents) <= most or not _rising(header.parents):
        return "parents"
    return "" if verifier.verify(roster.publics[header.author], header.id, header.signature) else "signature"


def check_vote(vote: Vote, roster: Roster, verifier: Verifier) -> str:
    """The reason for which a vote is refused: author, voter, signature; "" if it is valid."""
    n = roster.committee.n
    if vote.author >= n:
        return "author"
    if vote.voter >= n:
        return "voter"
    return "" if verifier.verify(roster.publics[vote.voter], vote.digest, vote.signature) else "signature"


def check_certificate(certificate: Certificate, roster: Roster, verifier: Verifier) -> str:
    """The reason to refuse a certificate: that of its header, or few, voter, repeated, vote; "" if it is valid."""
    committee = roster.committee
    voters = [voter for voter, _ in certificate.votes]
    if any(voter >= committee.n for voter in voters):
        return "voter"
    if not _rising(voters):
        return "repeated"
    if len(voters) < committee.quorum:
        return "few"
    if reason := check_header(certificate.header, roster, verifier):
        return reason
    digest = certificate.digest
    good = all(verifier.verify(roster.publics[voter], digest, signature) for voter, signature in certificate.votes)
    return "" if good else "vote"


def _rising(values: Sequence[int] | Sequence[bytes]) -> bool:
    return all(before < after for before, after in pairwise(values))  # type: ignore[operator]

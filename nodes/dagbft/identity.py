"""Identity: Ed25519 keys of validators, and what makes a signed message acceptable whatever the receiver's state is.

Keys are derived from the run's seed, so that a run can be repeated: anybody who knows the seed knows every private key.
That is for emulation only. Invariant: a message for which `check_…` answers "" is well formed for its epoch and signed
by whom it names; another answer is the reason for refusing it, a word to count by.
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
    """The key pair of one validator. `key` is what TLS certificates are made with."""

    name: str
    key: Ed25519PrivateKey = field(repr=False)
    public: bytes  # 32 bytes

    @classmethod
    def of(cls, seed: int, name: str) -> Identity:
        """The identity that a node has in runs of this seed."""
        secret = blake2b(f"{seed}/{name}".encode(), digest_size=32, person=b"dagbft identity").digest()
        key = Ed25519PrivateKey.from_private_bytes(secret)
        return cls(name, key, key.public_key().public_bytes_raw())

    def sign(self, digest: bytes) -> bytes:
        """The signature (64 bytes) of a digest; the same every time."""
        return self.key.sign(digest)


def verify(public: bytes, digest: bytes, signature: bytes) -> bool:
    """Whether `signature` is that of `digest` by the key `public`; False too where any of them is malformed."""
    if len(public) != PUBLIC_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:  # libsodium takes half the time that OpenSSL does, and verifying is a third of a validator's work
        crypto_sign_open(signature + digest, public)
    except BadSignatureError:
        return False
    return True


class Verifier:
    """`verify` that remembers what was found good, so that a certificate whose votes were seen costs nothing.

    Only good signatures are remembered, the latest `most` of them: a flood of bad ones pushes nothing out.
    """

    def __init__(self, most: int = REMEMBERED) -> None:
        self.checked = 0  # signatures that were worked out
        self.remembered = 0  # and those that needed not be
        self._most = most
        self._good: dict[tuple[bytes, bytes, bytes], None] = {}  # in the order of their coming

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
        """Remember a signature as good: one that this process has made itself."""
        self._good[digest, public, signature] = None
        if len(self._good) > self._most:
            del self._good[next(iter(self._good))]


@dataclass(frozen=True, slots=True)
class Roster:
    """The committee of an epoch with its public keys, and how many workers each validator has."""

    epoch: int
    publics: tuple[bytes, ...]
    workers: int = 1
    run: bytes = bytes(RUN_BYTES)  # tells the messages of a run from those of another one with the same keys
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
    """What tells a run from others: of the name of its folder."""
    return digest_of("dagbft run", name.encode())[:RUN_BYTES]


def run_of(store: Path) -> bytes:
    """The same, for a program whose directory is `store`: RUN/store/NODE/PROGRAM."""
    return run_id(store.parent.parent.parent.name)


def check_header(header: Header, roster: Roster, verifier: Verifier) -> str:
    """Why a header is refused: a word for the first of its fields that is wrong; "" where none is.

    What depends on state is for the receiver: the window of rounds, and whether the parents are what they should be.
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
    """Why a vote is refused: author, voter, signature; "" where it is not."""
    n = roster.committee.n
    if vote.author >= n:
        return "author"
    if vote.voter >= n:
        return "voter"
    return "" if verifier.verify(roster.publics[vote.voter], vote.digest, vote.signature) else "signature"


def check_certificate(certificate: Certificate, roster: Roster, verifier: Verifier) -> str:
    """Why a certificate is refused: as for its header, or few, voter, repeated, vote; "" where it is not."""
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

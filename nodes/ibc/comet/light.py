"""Light client: from a block that is trusted to a later one, by the signatures of validators.

Invariant: a block becomes trusted only through `verify`, that is within the trusting period, with more than the trust
level of validators known before (or as the direct successor) and more than two thirds of its own. Time is passed in.

Source: the light client of CometBFT (`light/verifier.go`), whose verdicts tests/conformance/ibc compares.
"""

from __future__ import annotations

from dataclasses import dataclass

from emulator.model.errors import Unfit
from nodes.ibc.comet import commits
from nodes.ibc.comet.commits import CommitError, SignatureCache, TooLittlePower
from nodes.ibc.comet.hashes import ADDRESS_BYTES, header_hash, validators_hash
from nodes.ibc.comet.moments import shown
from nodes.ibc.proto.comet import Commit, Header, SignedHeader, Validator
from nodes.ibc.proto.ibc import Fraction

MOST_CHAIN_ID = 50  # characters
_NS = 10**9
ONE_THIRD = Fraction(1, 3)


class LightError(Unfit):
    """A block that a light client must not trust, whatever else it is shown."""


class NotEnoughTrust(LightError):
    """A valid block whose signers are not known well enough yet: blocks between may bridge the gap."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What a light client demands."""

    trusting_period_ns: int
    trust_level: Fraction = ONE_THIRD
    clock_drift_ns: int = 10 * _NS


@dataclass(frozen=True, slots=True)
class Trusted:
    """What is known of a trusted block: the validators of the block after it are those that are trusted."""

    chain_id: str
    height: int
    time_ns: int
    next_validators_hash: bytes
    next_validators: tuple[Validator, ...]


@dataclass(frozen=True, slots=True)
class LightBlock:
    """A block as a light client is shown it, with the validators of the block after it."""

    header: Header
    signed: SignedHeader
    validators: tuple[Validator, ...]
    next_validators: tuple[Validator, ...]

    @classmethod
    def of(
        cls, signed: SignedHeader, validators: tuple[Validator, ...], next_validators: tuple[Validator, ...]
    ) -> LightBlock:
        """LightError where the header is missing."""
        if signed.header is None:
            raise LightError("signed header without a header", "both header and commit")
        return cls(signed.header, signed, validators, next_validators)

    def trusted(self) -> Trusted:
        """The block as the next step's ground, once it is verified. LightError where its successors are not those that
        its header announces."""
        expected = self.header.next_validators_hash
        if validators_hash(self.next_validators) != expected:
            raise LightError(f"next validators of height {self.header.height}", f"those with hash {expected.hex()}")
        return Trusted(self.header.chain_id, self.header.height, self.header.time.ns, expected, self.next_validators)


def check_header(header: Header, chain_id: str) -> None:
    """LightError unless a header is well formed and of the chain."""
    if header.chain_id != chain_id or len(chain_id) > MOST_CHAIN_ID:
        raise LightError(f"header of chain {header.chain_id!r}", f"{chain_id!r}, of at most {MOST_CHAIN_ID} characters")
    if header.height < 1:
        raise LightError(f"header of height {header.height}", "1 or more")
    for name in ("last_commit_hash", "data_hash", "evidence_hash", "last_results_hash"):
        if len(getattr(header, name)) not in (0, 32):
            raise LightError(f"{name} of {len(getattr(header, name))} bytes", "32, or none")
    for name in ("validators_hash", "next_validators_hash", "consensus_hash"):
        if len(getattr(header, name)) != 32:
            raise LightError(f"{name} of {len(getattr(header, name))} bytes", "32")
    if len(header.proposer_address) != ADDRESS_BYTES:
        raise LightError(f"proposer's address of {len(header.proposer_address)} bytes", str(ADDRESS_BYTES))


def check_signed_header(signed: SignedHeader, chain_id: str) -> tuple[Header, Commit]:
    """Header and commit. LightError unless both are there, well formed, and of one block of the chain."""
    header, commit = signed.header, signed.commit
    if header is None or commit is None:
        raise LightError("signed header without header or commit", "both")
    check_header(header, chain_id)
    try:
        commits.check_commit(commit)
    except CommitError as error:
        raise LightError(error.found, error.expected) from None
    if commit.height != header.height or commit.block_id.hash != header_hash(header):
        raise LightError(f"commit of height {commit.height}", f"one for this header, of height {header.height}")
    return header, commit


def verify(
    trusted: Trusted,
    signed: SignedHeader,
    validators: tuple[Validator, ...],
    policy: Policy,
    now_ns: int,
    cache: SignatureCache,
) -> None:
    """Whether a later block follows from a trusted one. NotEnoughTrust asks for blocks between, LightError is final."""
    header, commit = check_signed_header(signed, trusted.chain_id)
    if header.height <= trusted.height:
        raise LightError(f"height {header.height}", f"one after the trusted {trusted.height}")
    if is_expired(trusted.time_ns, policy.trusting_period_ns, now_ns):
        raise LightError(
            f"trusted block {trusted.height} of {shown(trusted.time_ns)}, trusted for {policy.trusting_period_ns} ns",
            f"one whose trust did not end before {shown(now_ns)}",
        )
    latest_ns = now_ns + policy.clock_drift_ns
    if not trusted.time_ns < header.time.ns < latest_ns:
        raise LightError(
            f"block {header.height} of {shown(header.time.ns)}",
            f"one after {shown(trusted.time_ns)} and before {shown(latest_ns)}",
        )
    try:
        if validators_hash(validators) != header.validators_hash:
            raise LightError("validators whose hash is another", f"those of {header.validators_hash.hex()}")
        if header.height == trusted.height + 1:
            if header.validators_hash != trusted.next_validators_hash:
                raise LightError(f"validators {header.validators_hash.hex()}", trusted.next_validators_hash.hex())
        else:
            _check_trust(trusted, commit, policy, cache)
        commits.verify_commit(trusted.chain_id, validators, commit, cache)
    except CommitError as error:
        raise LightError(error.found, error.expected) from None


def _check_trust(trusted: Trusted, commit: Commit, policy: Policy, cache: SignatureCache) -> None:
    try:
        commits.verify_commit_trusting(trusted.chain_id, trusted.next_validators, commit, policy.trust_level, cache)
    except TooLittlePower as error:
        raise NotEnoughTrust(error.found, error.expected) from None


def is_trust_level(level: Fraction) -> bool:
    """Whether a share of power is from 1/3 to 1: less would trust a block that no honest validator signed."""
    return level.denominator > 0 and level.denominator <= 3 * level.numerator <= 3 * level.denominator


def is_expired(time_ns: int, trusting_period_ns: int, now_ns: int) -> bool:
    """Whether a block of that time is trusted no longer."""
    return time_ns + trusting_period_ns <= now_ns


class Bisection:
    """The way from a trusted block to a target, which asks for blocks by height.

    `wanted` is the height that it needs next, None once the target is trusted. `path` are the blocks that became
    trusted, in order; each follows from the one before it.
    """

    def __init__(self, trusted: Trusted, target: int, policy: Policy, cache: SignatureCache) -> None:
        if target <= trusted.height:
            raise LightError(f"target {target}", f"a height after the trusted {trusted.height}")
        self.trusted = trusted
        self.wanted: int | None = target
        self.path: list[LightBlock] = []
        self._policy = policy
        self._cache = cache
        self._ahead: list[LightBlock] = []  # shown but not trusted yet, the nearest last

    def show(self, block: LightBlock, now_ns: int) -> None:
        """The block of the wanted height. LightError where it, or one between, must not be trusted."""
        if block.header.height != self.wanted:
            raise LightError(f"block {block.header.height}", f"block {self.wanted}")
        self._ahead.append(block)
        while self._ahead:
            nearest = self._ahead[-1]
            try:
                verify(self.trusted, nearest.signed, nearest.validators, self._policy, now_ns, self._cache)
            except NotEnoughTrust:
                self.wanted = (self.trusted.height + nearest.header.height) // 2
                return
            self.trusted = nearest.trusted()
            self.path.append(self._ahead.pop())
        self.wanted = None


def conflict(one: Header, other: Header) -> str | None:
    """Why two headers of a chain cannot both be honest, or None where they can."""
    first, second = sorted((one, other), key=lambda header: header.height)
    if first.height == second.height:
        return None if header_hash(first) == header_hash(second) else f"two blocks of height {first.height}"
    if second.time.ns <= first.time.ns:
        return f"block {second.height} is not later than block {first.height}"
    return None

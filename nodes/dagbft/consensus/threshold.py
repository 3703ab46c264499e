"""The common coin with threshold cryptography: f + 1 validators together draw a wave's fallback leader; f cannot.

Cachin, Kursawe, Shoup, "Random Oracles in Constantinople" (2000), section 4.3, in the prime-order group of Ed25519. A
dealer shares a secret x by a polynomial of degree f over the scalars. The share of wave w of a validator is x_i * H(w),
with a proof that it has the same discrete logarithm as the validator's public key x_i * B (Chaum and Pedersen, made
non-interactive by Fiat and Shamir). Any f + 1 shares give x * H(w) by interpolation, and its hash is the draw.

The dealer's randomness is the run's seed, so that a run can be repeated: the seed determines all draws in advance. That
is for emulation only; the computations and messages of validators are real.

Invariant: only shares with a valid proof are combined, so every validator draws the same author for a wave, whichever
shares it has received.

The group is libsodium's, by PyNaCl; loaded when a coin is made, so that runs with a seeded coin do not need it. To
make, to check and to combine shares (n = 10) took 0.3, 0.5 and 0.5 ms. BLS signatures, which need no proofs, took 0.5,
2.7 and 0.3 s by py_ecc; by blspy 0.6 and 2.0 ms to make and to check.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from hashlib import blake2b
from types import ModuleType

from emulator.model.errors import PlatformError, Unfit
from nodes.dagbft.consensus.committee import Committee
from nodes.dagbft.consensus.dag import Block

ORDER = 2**252 + 27742317777372353535851937790883648493  # of the group; scalars are modulo this
POINT_BYTES = 32
CHALLENGE_BYTES = 16
SCALAR_BYTES = 32
REMEMBERED_WAVES = 4
SHARE_BYTES = POINT_BYTES + CHALLENGE_BYTES + SCALAR_BYTES


def deal(committee: Committee, seed: int) -> list[int]:
    """The secret scalars of all validators: values at 1..n of a polynomial of degree f, whose value at 0 is x."""
    coefficients = [
        _scalar("coin deal", f"{seed}/{committee.n}/{power}".encode()) for power in range(committee.faults + 1)
    ]
    secrets = []
    for place in range(1, committee.n + 1):
        value = 0
        for coefficient in reversed(coefficients):
            value = (value * place + coefficient) % ORDER
        secrets.append(value)
    return secrets


class ThresholdCoin:
    """One validator's part of the coin: it makes its own shares, checks those of others, and combines f + 1 of them.

    A share is 80 bytes: the point x_i * H(w), the challenge c, the response z (little-endian, below ORDER). The point
    is the only one that is accepted of a validator and wave. A point has many valid proofs; here it is deterministic.
    """

    def __init__(self, committee: Committee, seed: int, me: int) -> None:
        if not 0 <= me < committee.n:
            raise Unfit(f"validator {me}", f"one in 0..{committee.n - 1}")
        self._group = _load()
        secrets = deal(committee, seed)
        self._secret = secrets[me]
        self._me = me
        self._n = committee.n
        self._threshold = committee.faults + 1
        self.publics = tuple(self._group.crypto_scalarmult_ed25519_base_noclamp(_bytes(each)) for each in secrets)
        self._dealing = _hash("coin dealing", b"".join(self.publics))
        self._base = lru_cache(maxsize=16)(self._base_of)
        self._shares: dict[int, dict[int, bytes]] = {}  # by wave not drawn yet and author: valid points
        self._authors: dict[int, int] = {}  # by wave: the author that was drawn
        self._accepted: dict[
            tuple[int, int], bytes
        ] = {}  # by wave and author: good shares, in the order of their coming
        self._floor = 0  # waves up to and with this one have been dropped
        self.checked = 0  # shares whose proof was verified
        self.refused: Counter[str] = Counter()  # shares, by reason

    def share(self, round: int) -> bytes:
        """The own share for the own header of a round, always the same; empty if none is due. Secret until then."""
        wave, rest = divmod(round, 4)
        return b"" if rest else self.wave_share(wave)

    def wave_share(self, wave: int) -> bytes:
        """The own share of a wave."""
        if wave < 1:
            raise Unfit(f"wave {wave}", "1 or more")
        base = self._base(wave)
        point = self._times(self._secret, base)
        nonce = _scalar("coin nonce", _bytes(self._secret) + base)
        commitments = self._group.crypto_scalarmult_ed25519_base_noclamp(_bytes(nonce)) + self._times(nonce, base)
        challenge = self._challenge(wave, self._me, point, commitments)
        response = (nonce + int.from_bytes(challenge, "little") * self._secret) % ORDER
        return point + challenge + _bytes(response)

    def accepts(self, author: int, round: int, share: bytes) -> bool:
        """Whether a header's share is valid, checked before a vote. Draws no leader."""
        wave, rest = divmod(round, 4)
        return not share if rest else self._good(wave, author, share)

    def check(self, wave: int, author: int, share: bytes) -> str:
        """The reason for which a share is refused: wave, author, length, point, scalar, proof; "" if it is valid.

        point: not canonical, not on the curve, of small order, or outside the group of prime order; scalar: not below
        ORDER.
        """
        if wave < 1:
            return "wave"
        if not 0 <= author < self._n:
            return "author"
        if len(share) != SHARE_BYTES:
            return "length"
        point, challenge, response = share[:32], share[32:48], share[48:]
        if int.from_bytes(response, "little") >= ORDER:
            return "scalar"
        self.checked += 1
        if not self._group.crypto_core_ed25519_is_valid_point(point):
            return "point"
        c, base, subtract = int.from_bytes(challenge, "little"), self._base(wave), self._group.crypto_core_ed25519_sub
        if c == 0 or response == bytes(SCALAR_BYTES):  # libsodium cannot multiply by 0; correct shares have no 0
            return "proof"
        commitments = subtract(
            self._group.crypto_scalarmult_ed25519_base_noclamp(response), self._times(c, self.publics[author])
        ) + subtract(self._group.crypto_scalarmult_ed25519_noclamp(response, base), self._times(c, point))
        return "" if self._challenge(wave, author, point, commitments) == challenge else "proof"

    def add(self, wave: int, author: int, share: bytes) -> int | None:
        """The wave's fallback leader, if this is the last missing valid share; else None.

        An invalid share is counted in `refused` and ignored; a second share of an author is ignored. Once the leader is
        known, further shares are not checked. Shares of dropped waves are refused as "stale".
        """
        if wave in self._authors:
            return None
        held = self._shares.get(wave, {})
        if author in held or not self._good(wave, author, share):
            return None
        held[author] = share[:POINT_BYTES]
        self._shares[wave] = held
        if len(held) < self._threshold:
            return None
        del self._shares[wave]
        digest = _hash("coin draw", self._dealing + wave.to_bytes(8, "big") + self._combine(held))
        self._authors[wave] = int.from_bytes(digest[:16], "big") % self._n
        return self._authors[wave]

    def author(self, wave: int) -> int | None:
        """The fallback leader of a wave; None if it is not known yet or was dropped."""
        return self._authors.get(wave)

    def reveal(self, block: Block, share: bytes) -> tuple[int, int] | None:
        """The wave and its fallback leader, if this block brings the last missing share. Once per wave.

        Of q blocks of a wave's last round at least f + 1 are of correct authors, so q blocks always reveal the coin.
        """
        wave, rest = divmod(block.round, 4)
        if rest or (author := self.add(wave, block.author, share)) is None:
            return None
        return wave, author

    def collect(self, floor: int) -> None:
        """Drop the waves up to and with the round `floor`."""
        self._floor = max(self._floor, floor // 4)
        for kept in (self._shares, self._authors):
            for wave in [wave for wave in kept if wave <= self._floor]:
                del kept[wave]

    def _good(self, wave: int, author: int, share: bytes) -> bool:
        """Whether a share is valid; checked once for a header and its certificate. Counts invalid ones."""
        if 1 <= wave <= self._floor:
            self.refused["stale"] += 1
            return False
        if self._accepted.get((wave, author)) == share:
            return True
        if reason := self.check(wave, author, share):
            self.refused[reason] += 1
            return False
        self._accepted[wave, author] = share
        if len(self._accepted) > REMEMBERED_WAVES * self._n:
            del self._accepted[next(iter(self._accepted))]
        return True

    def _base_of(self, wave: int) -> bytes:
        """H(w): a hash into the group. The sum of two maps, as one map reaches only half of the points."""
        digest = _hash("coin base", self._dealing + wave.to_bytes(8, "big"))
        one, other = (self._group.crypto_core_ed25519_from_uniform(half) for half in (digest[:32], digest[32:]))
        point: bytes = self._group.crypto_core_ed25519_add(one, other)
        return point

    def _challenge(self, wave: int, author: int, point: bytes, commitments: bytes) -> bytes:
        """The challenge of the proof: a hash of the statement and of both commitments."""
        claim = self._dealing + wave.to_bytes(8, "big") + author.to_bytes(2, "big") + self.publics[author]
        return _hash("coin proof", claim + self._base(wave) + point + commitments)[:CHALLENGE_BYTES]

    def _combine(self, points: dict[int, bytes]) -> bytes:
        """x * H(w): the value at 0 of the polynomial whose values at author + 1 are these points."""
        total = b""
        for author, point in points.items():
            above, below = 1, 1
            for other in points:
                if other != author:
                    above, below = above * (other + 1) % ORDER, below * (other - author) % ORDER
            part = self._times(above * pow(below, -1, ORDER) % ORDER, point)
            total = self._group.crypto_core_ed25519_add(total, part) if total else part
        return total

    def _times(self, scalar: int, point: bytes) -> bytes:
        product: bytes = self._group.crypto_scalarmult_ed25519_noclamp(_bytes(scalar), point)
        return product


def _load() -> ModuleType:
    try:
        from nacl import bindings
    except ImportError as error:
        raise PlatformError(f"the threshold coin without PyNaCl ({error}); expected pip install pynacl") from error
    if not bindings.has_crypto_core_ed25519:
        raise PlatformError("PyNaCl on a minimal libsodium, without points of Ed25519; expected a full build")
    return bindings


def _bytes(scalar: int) -> bytes:
    return scalar.to_bytes(SCALAR_BYTES, "little")


def _hash(kind: str, data: bytes) -> bytes:
    """BLAKE2b-512 of `data` for one purpose."""
    return blake2b(data, person=f"dag {kind}".encode()).digest()


def _scalar(kind: str, data: bytes) -> int:
    """A scalar, uniform but for 2^-259."""
    return int.from_bytes(_hash(kind, data), "little") % ORDER

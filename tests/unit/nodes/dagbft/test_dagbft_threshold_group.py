"""The threshold coin worked out a second time: with a slow Ed25519 of our own, and values kept from it."""

from __future__ import annotations

from hashlib import blake2b, sha512

import pytest
from nacl import bindings

from nodes.dagbft.consensus.committee import Committee
from nodes.dagbft.consensus.threshold import ThresholdCoin, deal

# RFC 8032, section 5.1: -x^2 + y^2 = 1 + d x^2 y^2 over the integers modulo P. Affine, with the complete addition law.
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT_OF_MINUS_1 = pow(2, (P - 1) // 4, P)
IDENTITY = (0, 1)
Point = tuple[int, int]


def plus(a: Point, b: Point) -> Point:
    (x1, y1), (x2, y2) = a, b
    cross = D * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + x2 * y1) * pow(1 + cross, -1, P) % P
    y = (y1 * y2 + x1 * x2) * pow(1 - cross, -1, P) % P
    return x, y


def minus(a: Point) -> Point:
    return -a[0] % P, a[1]


def times(scalar: int, point: Point) -> Point:
    total = IDENTITY
    while scalar:
        if scalar & 1:
            total = plus(total, point)
        point = plus(point, point)
        scalar >>= 1
    return total


def root(square: int) -> int | None:
    found = pow(square, (P + 3) // 8, P)
    for candidate in (found, found * ROOT_OF_MINUS_1 % P):
        if candidate * candidate % P == square % P:
            return candidate
    return None


def with_y(y: int, odd: int) -> Point:
    x = root((y * y - 1) * pow(D * y * y + 1, -1, P))
    assert x is not None
    return (x if x & 1 == odd else -x % P), y


def write(point: Point) -> bytes:
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def read(data: bytes) -> Point:
    number = int.from_bytes(data, "little")
    return with_y(number & (1 << 255) - 1, number >> 255)


BASE = with_y(4 * pow(5, -1, P) % P, 0)


def mapped(data: bytes) -> Point:
    """Elligator 2 (Bernstein, Hamburg, Krasnova, Lange, CCS 2013) to curve25519, over to Edwards, times 8."""
    number = int.from_bytes(data, "little")
    odd, r = number >> 255, (number & (1 << 255) - 1) % P
    a = 486662
    u = -a * pow(1 + 2 * r * r, -1, P) % P
    if root(u**3 + a * u**2 + u) is None:
        u = (-u - a) % P
    return times(8, with_y((u - 1) * pow(u + 1, -1, P) % P, odd))


def digest(kind: str, data: bytes) -> bytes:
    return blake2b(data, person=b"dag coin " + kind.encode()).digest()


def number(data: bytes) -> int:
    return int.from_bytes(data, "little")


class SlowCoin:
    """The coin of a committee as its description says, by the dealer who knows the secret: no shares are combined."""

    def __init__(self, n: int, seed: int) -> None:
        self.n = n
        powers = range((n - 1) // 3 + 1)
        self.polynomial = [number(digest("deal", f"{seed}/{n}/{power}".encode())) % L for power in powers]
        self.secrets = [self.value(place) for place in range(1, n + 1)]
        self.publics = [write(times(secret, BASE)) for secret in self.secrets]
        self.dealing = digest("dealing", b"".join(self.publics))

    def value(self, place: int) -> int:
        return sum(coefficient * place**power for power, coefficient in enumerate(self.polynomial)) % L

    def base(self, wave: int) -> Point:
        halves = digest("base", self.dealing + wave.to_bytes(8, "big"))
        return plus(mapped(halves[:32]), mapped(halves[32:]))

    def author(self, wave: int) -> int:
        drawn = write(times(self.value(0), self.base(wave)))
        return int.from_bytes(digest("draw", self.dealing + wave.to_bytes(8, "big") + drawn)[:16], "big") % self.n

    def holds(self, wave: int, author: int, share: bytes) -> bool:
        """Whether a share's proof holds, by the equation of Chaum and Pedersen."""
        point, c, z = share[:32], number(share[32:48]), number(share[48:])
        first = plus(times(z, BASE), minus(times(c, read(self.publics[author]))))
        second = plus(times(z, self.base(wave)), minus(times(c, read(point))))
        claim = self.dealing + wave.to_bytes(8, "big") + author.to_bytes(2, "big") + self.publics[author]
        said = claim + write(self.base(wave)) + point + write(first) + write(second)
        return digest("proof", said)[:16] == share[32:48]


def scalars(count: int) -> list[int]:
    return [number(digest("test", bytes([index]))) % L for index in range(count)]


def test_slow_curve_is_the_one_of_the_rfc():
    assert times(L, BASE) == IDENTITY
    # RFC 8032, section 7.1, test 1: the public key of a secret key.
    assert write(BASE).hex() == "58" + "66" * 31
    secret = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    scalar = number(sha512(secret).digest()[:32]) & ((1 << 254) - 8) | 1 << 254
    assert write(times(scalar, BASE)).hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"


def test_libsodium_adds_and_multiplies_as_the_slow_curve():
    for a, b in zip(scalars(6), scalars(7)[1:], strict=True):
        one, other = times(a, BASE), times(b, BASE)
        assert bindings.crypto_scalarmult_ed25519_base_noclamp(a.to_bytes(32, "little")) == write(one)
        assert bindings.crypto_scalarmult_ed25519_noclamp(b.to_bytes(32, "little"), write(one)) == write(times(b, one))
        assert bindings.crypto_core_ed25519_add(write(one), write(other)) == write(plus(one, other))
        assert bindings.crypto_core_ed25519_sub(write(one), write(other)) == write(plus(one, minus(other)))
        assert bindings.crypto_core_ed25519_sub(write(one), write(one)) == write(IDENTITY)


def test_libsodium_hashes_into_the_group_as_the_slow_curve():
    for index in range(12):
        data = digest("map", bytes([index]))[:32]
        assert bindings.crypto_core_ed25519_from_uniform(data) == write(mapped(data))
        assert times(L, mapped(data)) == IDENTITY


@pytest.mark.parametrize(("n", "seed"), [(4, 7), (8, 2**63)])
def test_coin_is_what_its_dealer_would_draw(n: int, seed: int):
    slow, committee = SlowCoin(n, seed), Committee(n)
    assert deal(committee, seed) == slow.secrets
    for wave in (1, 10**12):
        judge = ThresholdCoin(committee, seed, 0)
        assert judge.publics == tuple(slow.publics)
        drawn = None
        for author in range(committee.faults + 1):
            share = ThresholdCoin(committee, seed, author).wave_share(wave)
            assert share[:32] == write(times(slow.secrets[author], slow.base(wave)))
            assert slow.holds(wave, author, share)
            assert not slow.holds(wave, author + 1, share)
            drawn = judge.add(wave, author, share)
        assert drawn == slow.author(wave)


def test_points_with_a_part_of_small_order_are_refused():
    judge, share = ThresholdCoin(Committee(4), 7, 0), ThresholdCoin(Committee(4), 7, 1).wave_share(1)
    eighth = read(bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"))
    assert times(8, eighth) == IDENTITY != times(4, eighth)
    for order in range(8):
        small = times(order, eighth)
        assert judge.check(1, 1, write(small) + share[32:]) == "point"
        mixed = write(plus(read(share[:32]), small))
        assert judge.check(1, 1, mixed + share[32:]) == ("point" if order else "")


def test_points_that_are_not_canonical_or_not_on_the_curve_are_refused():
    judge, share = ThresholdCoin(Committee(4), 7, 0), ThresholdCoin(Committee(4), 7, 1).wave_share(1)
    not_canonical = [y + P for y in range(19)] + [y + P | 1 << 255 for y in range(19)] + [1 | 1 << 255]
    not_on_it = [y for y in range(2, 40) if root((y * y - 1) * pow(D * y * y + 1, -1, P)) is None]
    assert len(not_on_it) > 10
    for y in not_canonical + not_on_it:
        assert judge.check(1, 1, y.to_bytes(32, "little") + share[32:]) == "point"

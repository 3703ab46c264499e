"""Bech32 addresses: a prefix, "1", and bytes in 5-bit letters with a checksum of six.

Invariant: `decode(encode(prefix, data))` gives both back, and any change of up to four letters is refused. Source:
BIP-173; a length limit of 90 letters holds in Bitcoin and not in the Cosmos SDK, whose module accounts have 32 bytes.
"""

from __future__ import annotations

from functools import lru_cache

from emulator.model.errors import Unfit

LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
MOST_LETTERS = 256
REMEMBERED = 1 << 12  # addresses: a transaction names each of its few several times
_VALUES = {letter: value for value, letter in enumerate(LETTERS)}
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM_LETTERS = 6


@lru_cache(REMEMBERED)
def encode(prefix: str, data: bytes) -> str:
    """The address of bytes under a prefix of lower-case letters."""
    values = _regrouped(data, 8, 5, pad=True)
    checksum = _polymod([*_expanded(prefix), *values, *[0] * _CHECKSUM_LETTERS]) ^ 1
    values += [checksum >> 5 * (_CHECKSUM_LETTERS - 1 - place) & 31 for place in range(_CHECKSUM_LETTERS)]
    return f"{prefix}1{''.join(LETTERS[value] for value in values)}"


@lru_cache(REMEMBERED)
def decode(text: str, prefix: str) -> bytes:
    """The bytes of an address. Unfit unless it has this prefix and a right checksum."""
    expected = f"a bech32 address that begins with {prefix}1"
    found, separator, letters = text.rpartition("1")
    if not separator or found != prefix or len(text) > MOST_LETTERS or len(letters) < _CHECKSUM_LETTERS:
        raise Unfit(f"address {text[:MOST_LETTERS]!r}", expected)
    try:
        values = [_VALUES[letter] for letter in letters]
    except KeyError as error:
        raise Unfit(f"letter {error} in address {text!r}", f"letters of {LETTERS}") from None
    if _polymod([*_expanded(prefix), *values]) != 1:
        raise Unfit(f"address {text!r} with a wrong checksum", expected)
    return bytes(_regrouped(values[:-_CHECKSUM_LETTERS], 5, 8, pad=False))


def _regrouped(values: bytes | list[int], of: int, to: int, *, pad: bool) -> list[int]:
    """Groups of `of` bits as groups of `to` bits."""
    held = bits = 0
    groups = []
    for value in values:
        held = (held << of | value) & 0xFFF
        bits += of
        while bits >= to:
            bits -= to
            groups.append(held >> bits & (1 << to) - 1)
    if pad and bits:
        groups.append(held << to - bits & (1 << to) - 1)
    elif not pad and (bits >= of or held & (1 << bits) - 1):
        raise Unfit("an address whose last letter has bits of no byte", "padding of zero bits, shorter than a letter")
    return groups


def _expanded(prefix: str) -> list[int]:
    return [ord(letter) >> 5 for letter in prefix] + [0] + [ord(letter) & 31 for letter in prefix]


def _polymod(values: list[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for place, term in enumerate(_GENERATOR):
            check ^= term if top >> place & 1 else 0
    return check

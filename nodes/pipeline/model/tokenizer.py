"""Byte-level BPE, as a GGUF file of the kind "gpt2" with the splitting rule "smollm" describes it.

Invariant: decoding the tokens of a text gives the text, less the bytes that the model has no token for (SmolLM2: some
control characters). Tokens are those of llama.cpp: digits stand alone, the text between them is split by GPT-2's rule,
and pairs merge by rank within a piece, the leftmost of equal ones first.
"""

from __future__ import annotations

import heapq
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from emulator.model.errors import Unfit
from nodes.pipeline.model.gguf import Value, texts_of, whole_of

MOST_PIECES_KEPT = 20_000
_NONE = -1  # in place of a token: merged into the one before it, or of a byte that the model has no token for

# White_Space of Unicode: str.isspace() has the four separators from U+001C on, too
_SPACES = frozenset("\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000") | {
    chr(at) for at in range(0x2000, 0x200B)
}

_CONTRACTION = re.compile(r"'(?:s|t|re|ve|m|ll|d)")
# On classes of characters: L letter, N digit or number, S space, other than " ", O anything else
_PIECE = re.compile(r"N| ?L+| ?O+|[S ]+(?![LO])|[S ]+")


@cache
def byte_letters() -> dict[int, str]:
    """GPT-2's map from bytes to printable characters: itself where it prints, else the next from U+0100 on."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return {byte: chr(byte if byte in printable else next(others)) for byte in range(256)}


def _class_of(character: str) -> str:
    if character == " ":
        return " "
    if character in _SPACES:
        return "S"
    kind = unicodedata.category(character)[0]
    return kind if kind in "LN" else "O"


def pieces(text: str) -> Iterator[str]:
    """The pieces that merges never cross."""
    classes = "".join(map(_class_of, text))
    at = 0
    while at < len(text):
        found = _CONTRACTION.match(text, at) or _PIECE.match(classes, at)
        assert found is not None  # each class begins a piece
        yield text[at : found.end()]
        at = found.end()


class Tokenizer:
    """Texts to token numbers and back."""

    def __init__(self, metadata: Mapping[str, Value]) -> None:
        """Unfit where the metadata describe another tokenizer, or one that cannot be."""
        kind, rule = metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.pre")
        if (kind, rule) != ("gpt2", "smollm"):
            raise Unfit(f"a tokenizer {kind!r} with the rule {rule!r}", "'gpt2' with the rule 'smollm'")
        tokens = texts_of(metadata, "tokenizer.ggml.tokens")
        letters = byte_letters()
        self._numbers = {token: number for number, token in enumerate(tokens)}
        if len(self._numbers) < len(tokens):
            raise Unfit("tokens that are there twice", "each token once")
        self._ranks: dict[tuple[int, int], tuple[int, int]] = {}  # two tokens: the rank of their merge, and its token
        for rank, merge in enumerate(texts_of(metadata, "tokenizer.ggml.merges")):
            left, _, right = merge.partition(" ")
            try:
                pair = self._numbers[left], self._numbers[right]
                self._ranks.setdefault(pair, (rank, self._numbers[left + right]))
            except KeyError as error:
                raise Unfit(f"merge {merge!r}, where {error} is no token", "tokens that are listed") from None
        values = {letter: byte for byte, letter in letters.items()}
        self._bytes = [bytes(values[letter] for letter in token) if values.keys() >= set(token) else token.encode()
                       for token in tokens]  # fmt: skip
        self._of_byte = [self._numbers.get(letters[byte], _NONE) for byte in range(256)]
        self._kept: dict[str, tuple[int, ...]] = {}  # pieces of earlier texts
        self.end = whole_of(metadata, "tokenizer.ggml.eos_token_id", 0, len(tokens) - 1)

    def __len__(self) -> int:
        return len(self._bytes)

    def encode(self, text: str) -> list[int]:
        """The tokens of a text; names of special tokens in it are text like any other. Unfit for lone surrogates."""
        found: list[int] = []
        try:
            for piece in pieces(text):
                found += self._tokens(piece)
        except UnicodeEncodeError as error:
            raise Unfit(f"a lone surrogate {error.object[error.start]!r}", "text that UTF-8 can say") from None
        return found

    def bytes_of(self, token: int) -> bytes:
        """The bytes of one token: not always whole characters. Unfit for a number that is none."""
        if not 0 <= token < len(self._bytes):
            raise Unfit(f"token {token}", f"0 to {len(self._bytes) - 1}")
        return self._bytes[token]

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of tokens; bytes that are no UTF-8 show as U+FFFD. Unfit for a number that is no token."""
        return b"".join(map(self.bytes_of, tokens)).decode(errors="replace")

    def _tokens(self, piece: str) -> tuple[int, ...]:
        kept = self._kept.get(piece)
        if kept is None:
            kept = self._merged([self._of_byte[byte] for byte in piece.encode()])
            if len(self._kept) < MOST_PIECES_KEPT:
                self._kept[piece] = kept
        return kept

    def _merged(self, tokens: list[int]) -> tuple[int, ...]:
        """Merge pairs, lowest rank first. A heap keeps a piece of n bytes at n log n: there are prompts of one word."""
        after = [*range(1, len(tokens)), -1]  # the token that follows each; -1: none
        before = [*range(-1, len(tokens) - 1)]

        def candidate(left: int) -> tuple[int, int, int, int, int] | None:
            right = after[left]
            ranked = self._ranks.get((tokens[left], tokens[right])) if right >= 0 else None
            return (ranked[0], left, tokens[left], tokens[right], ranked[1]) if ranked else None

        heap = [found for left in range(len(tokens)) if (found := candidate(left))]
        heapq.heapify(heap)
        while heap:
            _, left, first, second, merged = heapq.heappop(heap)
            right = after[left]
            if right < 0 or (tokens[left], tokens[right]) != (first, second):
                continue  # one of the two was merged meanwhile
            tokens[left], tokens[right] = merged, _NONE
            after[left] = after[right]
            if after[right] >= 0:
                before[after[right]] = left
            for at in (before[left], left):
                if at >= 0 and (found := candidate(at)):
                    heapq.heappush(heap, found)
        return tuple(token for token in tokens if token != _NONE)

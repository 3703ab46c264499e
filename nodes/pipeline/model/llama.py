"""Blocks of a Llama model in numpy: a part of the model that one stage runs, with a cache of keys and values.

Invariant: rows that are computed do not depend on how a sequence was cut into chunks, or the model into parts, beyond
the rounding of float32. Grouped-query attention, rotary positions on adjacent pairs (as GGUF lays out "llama"),
SwiGLU, and RMS norms whose gains are folded into the matrices behind them.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emulator.model.errors import Unfit
from nodes.pipeline.model.gguf import Gguf, Tensor, number_of, whole_of
from nodes.pipeline.model.quantisation import Floats

_FLOAT = np.dtype("<f4")


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of a model, as its metadata have them."""

    blocks: int
    hidden: int  # values a token between blocks
    heads: int
    kv_heads: int
    feed_forward: int
    vocabulary: int
    context: int  # tokens
    rope_base: float
    epsilon: float

    @property
    def head(self) -> int:
        """Values of a head."""
        return self.hidden // self.heads

    @staticmethod
    def of(gguf: Gguf) -> Shape:
        """Unfit where the file is of another architecture, or its sizes do not go together."""
        metadata, embedding = gguf.metadata, gguf.tensors.get("token_embd.weight")

        def whole(key: str, most: int, default: int | None = None) -> int:
            return whole_of(metadata, f"llama.{key}", 1, most, default)

        if metadata.get("general.architecture") != "llama":
            raise Unfit(f"architecture {str(metadata.get('general.architecture'))[:60]!r}", "'llama'")
        if metadata.get("llama.rope.scaling.type", "none") != "none":
            raise Unfit(f"rotary positions scaled by {metadata['llama.rope.scaling.type']!r}", "positions as they are")
        heads = whole("attention.head_count", 1024)
        shape = Shape(
            blocks=whole("block_count", 1024),
            hidden=whole("embedding_length", 65_536),
            heads=heads,
            kv_heads=whole("attention.head_count_kv", 1024, heads),
            feed_forward=whole("feed_forward_length", 1_048_576),
            vocabulary=embedding.shape[0] if embedding else 0,
            context=whole("context_length", 1_048_576),
            rope_base=number_of(metadata, "llama.rope.freq_base", 1, 1e12, 10_000),
            epsilon=number_of(metadata, "llama.attention.layer_norm_rms_epsilon", 1e-12, 1),
        )
        if shape.hidden % (2 * heads) or heads % shape.kv_heads:
            raise Unfit(
                f"{shape.hidden} values, {heads} heads, {shape.kv_heads} of keys and values",
                "heads of an even number of values, and a multiple of heads of keys and values",
            )
        if whole("rope.dimension_count", 65_536, shape.head) != shape.head:
            raise Unfit("rotary positions on a part of each head", f"on all its {shape.head} values")
        return shape


class Cache:
    """Keys and values of one sequence in the blocks of a part.

    `keys` and `values` are (blocks, heads of keys and values, capacity, values of a head); the first `length` tokens
    hold. The system gives memory only for those.
    """

    def __init__(self, shape: Shape, blocks: int, capacity: int) -> None:
        """Unfit for a capacity beyond the model's context."""
        if not 0 < capacity <= shape.context:
            raise Unfit(f"a sequence of {capacity:,} tokens", f"at most {shape.context:,}, the model's context")
        self.keys = np.empty((blocks, shape.kv_heads, capacity, shape.head), np.float32)
        self.values = np.empty_like(self.keys)
        self.length = 0

    @property
    def capacity(self) -> int:
        return self.keys.shape[2]

    def room(self, tokens: int) -> None:
        """Unfit where so many more tokens do not fit."""
        if self.length + tokens > self.capacity:
            raise Unfit(
                f"{self.length:,} tokens and {tokens:,} more", f"at most {self.capacity:,} in all: a shorter prompt"
            )

    def part(self, first: int, last: int, length: int) -> Cache:
        """The same memory, of some blocks, of which so many tokens hold. Unfit where it has not so many."""
        if not 0 <= first < last <= len(self.keys) or length > self.capacity:
            raise Unfit(
                f"{length:,} tokens of blocks {first} to {last}", f"at most {self.capacity:,}, of 0 to {len(self.keys)}"
            )
        view = copy(self)
        view.keys, view.values, view.length = self.keys[first:last], self.values[first:last], length
        return view

    def hand_over(self, block: int) -> bytes:
        """What another node needs to go on with a block, the nth of this part: float32, so that it goes on alike."""
        held = np.stack([self.keys[block, :, : self.length], self.values[block, :, : self.length]])
        return held.astype(_FLOAT).tobytes()

    def take_over(self, block: int, data: bytes) -> None:
        """Go on with a block of another part. The first that is taken says how many tokens hold.

        Unfit for bytes that are no keys and values, or of another number of tokens than the cache holds already.
        """
        _, heads, capacity, head = self.keys.shape
        tokens, rest = divmod(len(data), 2 * heads * head * _FLOAT.itemsize)
        if rest or not 0 < tokens <= capacity or tokens != (self.length or tokens):
            raise Unfit(
                f"{len(data):,} bytes of keys and values", f"those of {self.length or f'1 to {capacity}'} tokens"
            )
        held = np.frombuffer(data, _FLOAT).reshape(2, heads, tokens, head)
        if not np.isfinite(held).all():
            raise Unfit("keys and values that are no finite numbers", "finite ones")
        self.keys[block, :, :tokens], self.values[block, :, :tokens] = held
        self.length = tokens


class Part:
    """Blocks `first` to `last` (exclusive), the embedding with the first of all, the output head with the last."""

    def __init__(self, gguf: Gguf, first: int, last: int) -> None:
        """Unfit or Absent where the file's tensors are not those of the model that its metadata tell of."""
        self.shape = shape = Shape.of(gguf)
        if not 0 <= first < last <= shape.blocks:
            raise Unfit(f"blocks {first} to {last}", f"some of 0 to {shape.blocks}")
        self.first, self.last = first, last
        table = gguf.tensor("token_embd.weight", (shape.vocabulary, shape.hidden))
        self._embedding = _Embedding(table) if first == 0 else None
        self._blocks = [_Block(gguf, shape, number) for number in range(first, last)]
        self._head: Floats | None = None
        if last == shape.blocks:
            head = gguf.tensor("output.weight", table.shape) if "output.weight" in gguf.tensors else table
            self._head = _folded(head, gguf.tensor("output_norm.weight", (shape.hidden,)))
        pairs = np.arange(0, shape.head, 2) / shape.head
        self._frequencies = shape.rope_base**-pairs  # radians a token

    def cache(self, capacity: int) -> Cache:
        """A cache for one sequence of at most so many tokens. Unfit beyond the model's context."""
        return Cache(self.shape, len(self._blocks), capacity)

    def embed(self, tokens: Sequence[int]) -> Floats:
        """Rows of tokens, before the first block. Unfit for numbers that are no tokens, or in another part."""
        if self._embedding is None:
            raise Unfit(f"tokens for blocks {self.first} to {self.last}", "rows of the block before")
        return self._embedding.rows(tokens)

    def forward(self, rows: Floats, cache: Cache) -> Floats:
        """Rows of the next tokens of a sequence, after the last block here. Unfit where the cache has no room."""
        cache.room(len(rows))
        positions = np.arange(cache.length, cache.length + len(rows))
        turns = np.exp(1j * np.outer(positions, self._frequencies)).astype(np.complex64)
        with np.errstate(over="ignore"):  # exp of a far negative gate, which closes it
            for number, block in enumerate(self._blocks):
                rows = block.forward(rows, cache.keys[number], cache.values[number], cache.length, turns)
        cache.length += len(rows)
        return rows

    def logits(self, rows: Floats) -> Floats:
        """What the model expects next after each row, over the vocabulary. Unfit where the head is not here."""
        if self._head is None:
            raise Unfit(f"the output of block {self.last - 1}", f"that of block {self.shape.blocks - 1}")
        return _normed(rows, self.shape.epsilon) @ self._head


class _Embedding:
    """The table of tokens as the file has it: a row is decoded when it is looked up, which saves most of the memory."""

    def __init__(self, table: Tensor) -> None:
        self._encoding = table.encoding
        self._rows = table.data.reshape(table.shape[0], -1).copy()

    def rows(self, tokens: Sequence[int]) -> Floats:
        wanted = np.asarray(tokens, np.int64)
        if wanted.size == 0 or wanted.min() < 0 or wanted.max() >= len(self._rows):
            raise Unfit(f"tokens {list(tokens)[:8]}", f"one or more, each from 0 to {len(self._rows) - 1}")
        return self._encoding.decode(self._rows[wanted].reshape(-1)).reshape(len(wanted), -1)


class _Block:
    """One block: matrices as (in, out), those that take the same input side by side."""

    def __init__(self, gguf: Gguf, shape: Shape, number: int) -> None:
        def matrix(name: str, out: int, inner: int, norm: Tensor | None = None) -> Floats:
            return _folded(gguf.tensor(f"blk.{number}.{name}.weight", (out, inner)), norm)

        self._shape = shape
        norm = gguf.tensor(f"blk.{number}.attn_norm.weight", (shape.hidden,))
        small = shape.kv_heads * shape.head
        sizes = {"attn_q": shape.hidden, "attn_k": small, "attn_v": small}
        qkv = np.hstack([matrix(name, out, shape.hidden, norm) for name, out in sizes.items()])
        norm = gguf.tensor(f"blk.{number}.ffn_norm.weight", (shape.hidden,))
        gate_up = np.hstack([matrix(name, shape.feed_forward, shape.hidden, norm) for name in ("ffn_gate", "ffn_up")])
        self._qkv, self._out, self._gate_up, self._down = _adjacent(
            qkv,
            matrix("attn_output", shape.hidden, shape.hidden),
            gate_up,
            matrix("ffn_down", shape.hidden, shape.feed_forward),
        )

    def forward(self, rows: Floats, keys: Floats, values: Floats, before: int, turns: NDArray[np.complex64]) -> Floats:
        shape = self._shape
        qkv = (_normed(rows, shape.epsilon) @ self._qkv).reshape(len(rows), -1, shape.head)
        turned = qkv[:, : shape.heads + shape.kv_heads]
        turned.view(np.complex64)[...] *= turns[:, None]
        now = before + len(rows)
        keys[:, before:now] = turned[:, shape.heads :].swapaxes(0, 1)
        values[:, before:now] = qkv[:, shape.heads + shape.kv_heads :].swapaxes(0, 1)
        rows = rows + self._attended(turned[:, : shape.heads], keys[:, :now], values[:, :now]) @ self._out
        gate_up = _normed(rows, shape.epsilon) @ self._gate_up
        gate, up = gate_up[:, : shape.feed_forward], gate_up[:, shape.feed_forward :]
        rows += (gate / (1 + np.exp(-gate)) * up) @ self._down
        return rows

    def _attended(self, queries: Floats, keys: Floats, values: Floats) -> Floats:
        """Each query over the keys up to its own token; heads of queries share those of keys and values in groups."""
        tokens, heads, head = queries.shape
        kv_heads, seen, _ = keys.shape
        grouped = queries.reshape(tokens, kv_heads, -1, head).transpose(1, 2, 0, 3).reshape(kv_heads, -1, head)
        weights = grouped @ keys.swapaxes(1, 2) * np.float32(head**-0.5)
        if tokens > 1:
            later = np.arange(seen) > np.arange(seen - tokens, seen)[:, None]
            weights.reshape(heads, tokens, seen)[:, later] = -np.inf
        weights = np.exp(weights - weights.max(axis=2, keepdims=True))
        mixed: Floats = weights @ values / weights.sum(axis=2, keepdims=True)
        return mixed.reshape(heads, tokens, head).swapaxes(0, 1).reshape(tokens, -1)


def _folded(weights: Tensor, norm: Tensor | None) -> Floats:
    """A matrix as (in, out), with the gains of the norm before it in its rows."""
    matrix = weights.values()
    if norm is not None:
        with np.errstate(over="ignore"):
            matrix *= norm.values()
        if not np.isfinite(matrix).all():
            raise Unfit(f"tensor {weights.name} times {norm.name} beyond float32", "weights of a trained model")
    return np.ascontiguousarray(matrix.T)


def _adjacent(*matrices: Floats) -> list[Floats]:
    """The same matrices in one array, which the system gives huge pages: decoding read them 13 % faster (measured)."""
    flat = np.concatenate([matrix.reshape(-1) for matrix in matrices])
    ends = np.cumsum([matrix.size for matrix in matrices])
    return [part.reshape(matrix.shape) for part, matrix in zip(np.split(flat, ends[:-1]), matrices, strict=True)]


def _normed(rows: Floats, epsilon: float) -> Floats:
    """Rows over their root mean square."""
    squares = (rows * rows).sum(axis=1, keepdims=True) / np.float32(rows.shape[1])
    normed: Floats = rows / np.sqrt(squares + np.float32(epsilon))
    return normed

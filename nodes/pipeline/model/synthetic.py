"""A small model with random weights, as a GGUF file in memory: for tests, and where the real one cannot be had.

Invariant: it goes through the same loader as a real model, and equal arguments give equal bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

import numpy as np

from nodes.pipeline.model.gguf import ARRAY, DEFAULT_ALIGNMENT, MAGIC, NUMBERS, STRING, VERSION
from nodes.pipeline.model.llama import Shape
from nodes.pipeline.model.quantisation import F32, Q4_1, Q8_0, Encoding, Floats
from nodes.pipeline.model.tokenizer import byte_letters

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
MERGES = ("Ġ t", "h e", "Ġt he", "i n", "e r", "Ġ a", "n d", "Ġa nd", "a n")
CONTROL, NORMAL = 3, 1  # kinds of tokens

SMALL = Shape(blocks=4, hidden=64, heads=4, kv_heads=2, feed_forward=128, vocabulary=0, context=1024,
              rope_base=10_000, epsilon=2**-17)  # fmt: skip

Described = int | float | str | list[str] | list[int]


def synthetic_model(seed: int = 0, shape: Shape = SMALL) -> bytes:
    """A model of the given sizes; its vocabulary is that of single bytes and a few merges, whatever `shape` says."""
    tokens = [*SPECIAL, *byte_letters().values(), *dict.fromkeys(merge.replace(" ", "") for merge in MERGES)]
    return gguf_file(_metadata(shape, tokens), _tensors(np.random.default_rng(seed), shape, len(tokens)))


def _metadata(shape: Shape, tokens: list[str]) -> dict[str, Described]:
    return {
        "general.architecture": "llama",
        "general.name": "synthetic",
        "llama.block_count": shape.blocks,
        "llama.context_length": shape.context,
        "llama.embedding_length": shape.hidden,
        "llama.feed_forward_length": shape.feed_forward,
        "llama.attention.head_count": shape.heads,
        "llama.attention.head_count_kv": shape.kv_heads,
        "llama.attention.layer_norm_rms_epsilon": shape.epsilon,
        "llama.rope.freq_base": shape.rope_base,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [CONTROL if token in SPECIAL else NORMAL for token in tokens],
        "tokenizer.ggml.merges": list(MERGES),
        "tokenizer.ggml.eos_token_id": SPECIAL.index("<|im_end|>"),
    }


def _tensors(rng: np.random.Generator, shape: Shape, vocabulary: int) -> dict[str, tuple[Encoding, Floats]]:
    def matrix(encoding: Encoding, out: int, inner: int) -> tuple[Encoding, Floats]:
        return encoding, rng.standard_normal((out, inner), np.float32) * np.float32(inner**-0.5)

    def norm() -> tuple[Encoding, Floats]:
        return F32, rng.uniform(0.5, 1.5, shape.hidden).astype(np.float32)

    tensors = {"token_embd.weight": matrix(Q8_0, vocabulary, shape.hidden), "output_norm.weight": norm()}
    small = shape.kv_heads * shape.head
    sizes = {
        "attn_q": (shape.hidden, shape.hidden),
        "attn_k": (small, shape.hidden),
        "attn_v": (small, shape.hidden),
        "attn_output": (shape.hidden, shape.hidden),
        "ffn_gate": (shape.feed_forward, shape.hidden),
        "ffn_up": (shape.feed_forward, shape.hidden),
        "ffn_down": (shape.hidden, shape.feed_forward),
    }
    for block in range(shape.blocks):
        tensors |= {f"blk.{block}.{name}.weight": norm() for name in ("attn_norm", "ffn_norm")}
        tensors |= {f"blk.{block}.{name}.weight": matrix(Q4_1, *size) for name, size in sizes.items()}
    return tensors


def gguf_file(metadata: Mapping[str, Described], tensors: Mapping[str, tuple[Encoding, Floats]]) -> bytes:
    """A file of what is described; numbers become u32 and f32, and i32 in lists."""
    parts = [MAGIC, struct.pack("<IQQ", VERSION, len(tensors), len(metadata))]
    for key, value in metadata.items():
        parts += [_text(key), _value(value)]
    data = b""
    for name, (encoding, values) in tensors.items():
        dimensions = values.shape[::-1]
        parts.append(_text(name) + struct.pack(f"<I{len(dimensions)}Q", len(dimensions), *dimensions))
        parts.append(struct.pack("<IQ", encoding.number, len(data)))
        data += encoding.encode(values)
        data += bytes(-len(data) % DEFAULT_ALIGNMENT)
    head = b"".join(parts)
    return head + bytes(-len(head) % DEFAULT_ALIGNMENT) + data


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _value(value: Described) -> bytes:
    match value:
        case str():
            return struct.pack("<I", STRING) + _text(value)
        case int():
            return struct.pack("<II", _U32, value)
        case float():
            return struct.pack("<If", _F32, value)
        case [str(), *_]:
            return struct.pack("<IIQ", ARRAY, STRING, len(value)) + b"".join(map(_text, map(str, value)))
        case _:
            return struct.pack("<IIQ", ARRAY, _I32, len(value)) + np.array(value, NUMBERS[_I32]).tobytes()


_U32, _I32, _F32 = 4, 5, 6

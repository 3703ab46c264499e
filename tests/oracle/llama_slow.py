"""A Llama model as its formulas say, slowly: token by token, head by head, all of the sequence again each time."""

import numpy as np

from nodes.pipeline.model.gguf import Gguf
from nodes.pipeline.model.llama import Shape


def _norm(row, gain, epsilon):
    return row / np.sqrt(np.mean(row**2) + epsilon) * gain


def _turned(head, position, base):
    """Rotary positions: each adjacent pair turns by its own frequency."""
    out = np.empty_like(head)
    for pair in range(len(head) // 2):
        angle = position * base ** (-2 * pair / len(head))
        a, b = head[2 * pair : 2 * pair + 2]
        out[2 * pair] = a * np.cos(angle) - b * np.sin(angle)
        out[2 * pair + 1] = a * np.sin(angle) + b * np.cos(angle)
    return out


def logits(gguf: Gguf, tokens: list[int]) -> np.ndarray:
    """The logits after each token."""
    weights = {name: tensor.values().astype(np.float64) for name, tensor in gguf.tensors.items()}
    embedding = weights["token_embd.weight"]
    shape = Shape.of(gguf)
    rows = [embedding[token] for token in tokens]
    for number in range(shape.blocks):
        block = {name.split(".")[2]: values for name, values in weights.items() if name.startswith(f"blk.{number}.")}
        keys, values, queries = [], [], []
        for position, row in enumerate(rows):
            normed = _norm(row, block["attn_norm"], shape.epsilon)
            heads = (block["attn_q"] @ normed).reshape(shape.heads, -1)
            queries.append([_turned(head, position, shape.rope_base) for head in heads])
            heads = (block["attn_k"] @ normed).reshape(shape.kv_heads, -1)
            keys.append([_turned(head, position, shape.rope_base) for head in heads])
            values.append((block["attn_v"] @ normed).reshape(shape.kv_heads, -1))
        for position, row in enumerate(rows):
            mixed = []
            for head in range(shape.heads):
                shared = head * shape.kv_heads // shape.heads
                scores = np.array([queries[position][head] @ keys[at][shared] for at in range(position + 1)])
                share = np.exp(scores / np.sqrt(shape.head))
                share /= share.sum()
                mixed.append(sum(share[at] * values[at][shared] for at in range(position + 1)))
            row = row + block["attn_output"] @ np.concatenate(mixed)
            normed = _norm(row, block["ffn_norm"], shape.epsilon)
            gate, up = block["ffn_gate"] @ normed, block["ffn_up"] @ normed
            rows[position] = row + block["ffn_down"] @ (gate / (1 + np.exp(-gate)) * up)
    return np.array([embedding @ _norm(row, weights["output_norm.weight"], shape.epsilon) for row in rows])

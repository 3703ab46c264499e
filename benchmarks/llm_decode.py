"""SmolLM2 on one core, unsplit: tokens a second of decoding and of prefill, by processor time and by the clock.

python -m benchmarks.llm_decode [TOKENS]     by default 48 are decoded; the first use downloads the model (93 MB)

Decoding reads all weights once a token, so it goes as fast as memory gives them, and other processes slow it down. What
the products of one row with as many weights take in the same seconds is printed beside it, and what llama.cpp takes on
one thread where `pip install xllamacpp` has been done.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence

from nodes.pipeline.codecs.texts import text  # of the package that gives BLAS one thread: before numpy

import numpy as np  # isort: skip

from benchmarks.figures import tell
from nodes.pipeline.model.chain import Chain, split
from nodes.pipeline.model.fetch import cached_path, load_model
from nodes.pipeline.model.llama import Part
from nodes.pipeline.model.tokenizer import Tokenizer

CHUNKS = (16, 32, 64, 256)  # tokens
PROMPT = 256  # tokens


def taken_s(call: Callable[[], object]) -> tuple[float, float]:
    """Processor time and time of one call."""
    processor, clock = time.process_time(), time.perf_counter()
    call()
    return time.process_time() - processor, time.perf_counter() - clock


def products(part: Part) -> Callable[[], None]:
    """One row times matrices of as many weights as the model has."""
    shape = part.shape
    narrow = shape.hidden + 2 * shape.kv_heads * shape.head
    sizes = [(shape.hidden, narrow), (shape.hidden, shape.hidden), (shape.hidden, 2 * shape.feed_forward),
             (shape.feed_forward, shape.hidden)]  # fmt: skip
    blocks = [[np.ones(size, np.float32) for size in sizes] for _ in range(shape.blocks)]
    matrices = [matrix for block in blocks for matrix in block] + [
        np.ones((shape.hidden, shape.vocabulary), np.float32)
    ]
    rows = {size: np.ones((1, size), np.float32) for size in (shape.hidden, shape.feed_forward)}

    def multiply() -> None:
        for matrix in matrices:
            rows[len(matrix)] @ matrix

    return multiply


def llama_cpp(prompt: Sequence[int], count: int) -> None:
    """Prefill of a prompt and decoding of so many tokens behind its first 32, by llama.cpp on one thread."""
    try:
        import xllamacpp
    except ImportError:
        tell("the same by llama.cpp", "not measured: expected pip install xllamacpp")
        return
    asked = xllamacpp.CommonParams()
    asked.model.path, asked.n_parallel, asked.verbosity = str(cached_path()), 1, -1
    asked.n_ctx = len(prompt) + count + 1
    asked.cpuparams.n_threads = asked.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(asked)

    def answer_s(prompt: Sequence[int], tokens: int) -> tuple[float, float]:
        request = {"prompt": list(prompt), "n_predict": tokens, "temperature": 0.0, "cache_prompt": False}
        return taken_s(lambda: server.handle_completions(request | {"ignore_eos": True}))

    prefill_s, first_s, all_s = answer_s(prompt, 1), answer_s(prompt[:32], 1), answer_s(prompt[:32], count + 1)
    decode_s = [(whole - first) / count for whole, first in zip(all_s, first_s, strict=True)]
    for what, rates in (
        (f"prefill of {len(prompt)} by llama.cpp", [len(prompt) / each for each in prefill_s]),
        ("decode by llama.cpp", [1 / each for each in decode_s]),
    ):
        tell(what, f"{rates[0]:.1f} tok/s", f"{rates[1]:.1f} by the clock")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 48
    gguf = load_model()
    (part,) = split(gguf)
    chain, prompt = Chain([part]), Tokenizer(gguf.metadata).encode(text("docs"))[:PROMPT]
    for tokens in CHUNKS:
        caches = chain.caches(PROMPT)
        chunks = [prompt[at : at + tokens] for at in range(0, PROMPT, tokens)]
        processor_s, clock_s = taken_s(lambda chunks=chunks, caches=caches: [chain.forward(c, caches) for c in chunks])
        tell(
            f"prefill of {PROMPT} in chunks of {tokens}",
            f"{PROMPT / processor_s:.0f} tok/s",
            f"{PROMPT / clock_s:.0f} by the clock",
        )
    multiply = products(part)
    decoded = chain.greedy(prompt[:32], count + 1)
    next(decoded)
    tokens_s, products_s = [], []
    for _ in range(count):
        tokens_s.append(taken_s(lambda: next(decoded)))
        products_s.append(taken_s(multiply)[0])
    processor_s, clock_s = (statistics.median(column) for column in zip(*tokens_s, strict=True))
    tell("decode", f"{1 / processor_s:.1f} tok/s", f"{1 / clock_s:.1f} by the clock", "30 on a core by itself")
    tell(
        "a token",
        f"{1e3 * processor_s:.1f} ms, least {1e3 * min(tokens_s)[0]:.1f}",
        f"{1e3 * statistics.median(products_s):.1f} ms for the products alone, least {1e3 * min(products_s):.1f}",
    )
    llama_cpp(prompt, count)


if __name__ == "__main__":
    main()

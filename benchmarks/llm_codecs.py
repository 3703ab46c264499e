"""Codecs at the cuts of a split SmolLM2: bytes, processor time, and what is lost by all cuts together.

python -m benchmarks.llm_codecs [WINDOWS] [CODEC ...]     by default 4 windows of 256 tokens, of each text; all codecs

Losses are paired with the same model whose cuts pass fp16, and stand with their 95 % intervals. 24 windows (6,120
predictions) take some minutes a codec; fewer give wide intervals. The first use downloads the model (93 MB).
"""

from __future__ import annotations

import sys
import time

from benchmarks.figures import tell
from nodes.pipeline.codecs.calibration import CODECS, calibrated, codec_of
from nodes.pipeline.codecs.codec import Codec
from nodes.pipeline.codecs.evaluation import change, score, windows
from nodes.pipeline.codecs.texts import text
from nodes.pipeline.model.chain import Chain, split
from nodes.pipeline.model.fetch import load_model
from nodes.pipeline.model.quantisation import Floats
from nodes.pipeline.model.tokenizer import Tokenizer

CUTS = (6, 15, 24)  # of four satellites
CALIBRATION_WINDOWS = 24
REPEATS = 50


class Measured:
    """A codec as a transfer that counts what it sends."""

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        self.sent_bytes = 0
        self.tokens = 0

    def __call__(self, rows: Floats) -> Floats:
        data = self.codec.encode(rows)
        self.sent_bytes += len(data)
        self.tokens += len(rows)
        return self.codec.decode(data)


def cost_ms(codec: Codec, rows: Floats) -> str:
    """Processor time of encoding and of decoding some rows: the least of many, since other processes only add."""
    data = codec.encode(rows)
    costs = []
    for call in (lambda: codec.encode(rows), lambda: codec.decode(data)):
        best = float("inf")
        for _ in range(REPEATS):
            begun = time.process_time()
            call()
            best = min(best, time.process_time() - begun)
        costs.append(f"{1e3 * best:.2f}")
    return " + ".join(costs)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    names = sys.argv[2:] or list(CODECS)
    gguf = load_model()
    tokenizer = Tokenizer(gguf.metadata)
    calibration = windows(tokenizer.encode(text("calibration")), CALIBRATION_WINDOWS)
    statistics = list(calibrated(gguf, CUTS, calibration).values())
    parts = split(gguf, CUTS)
    rows = parts[0].forward(parts[0].embed(calibration[0][:32]), parts[0].cache(32))[1:]
    for name in names:
        codec = codec_of(name, statistics[0])
        tell(
            f"{name}, encode + decode",
            f"{cost_ms(codec, rows)} ms for {len(rows)} rows, {cost_ms(codec, rows[:1])} for one",
        )
    half_bytes = codec_of("fp16", statistics[0]).bytes_per_token
    for domain in ("docs", "fortunes"):
        texts = windows(tokenizer.encode(text(domain)), count)
        base = score(Chain(parts, [Measured(codec_of("fp16", each)) for each in statistics]), texts)
        found = f"perplexity {base.perplexity:.2f}, accuracy {base.accuracy:.2%}"
        tell(domain, found, f"{base.hits.size:,} predictions")
        for name in names:
            transfers = [Measured(codec_of(name, each)) for each in statistics]
            lost = change(base, score(Chain(parts, transfers), texts))
            saved = "/".join(f"{1 - each.sent_bytes / each.tokens / half_bytes:.1%}" for each in transfers)
            loss = lost.loss_nat
            tell(
                f"{domain}, {name}",
                f"{saved} saved at cuts {CUTS}; accuracy {lost.accuracy_pp} pp; "
                f"perplexity {lost.perplexity_percent:+.2f} %, {loss.mean:.4f} ± {loss.half:.4f} nat; "
                f"{lost.agreement:.1%} same guesses",
            )


if __name__ == "__main__":
    main()

"""The model: a GGUF file's weights and tokenizer, and its blocks in numpy.

- `fetch`: `load_model()`, SmolLM2-135M-Instruct from the user's cache, fetched where it is not there; `load_cached()`,
  which does not fetch; `cached_path()`.
- `synthetic`: `synthetic_model(seed)`, the bytes of a small model with random weights.
- `gguf`: `load(path, sha256)`, `Gguf(data)`; `quantisation`: F32, Q8_0, Q4_1.
- `tokenizer`: `Tokenizer(gguf.metadata)` with `encode(text)`, `decode(tokens)`, `bytes_of(token)`, `end`.
- `llama`: `Part(gguf, first, last)` with `embed`, `forward(rows, cache)`, `logits`; `Cache`, `Shape`.
- `chain`: `split(gguf, cuts)`, and `Chain(parts, transfers)`: parts one after another in one process.
"""

"""How rows of activations cross from one part of the model to the next in fewer bytes, and what that costs.

- `codec`: `Codec` with `encode(rows)`, `decode(data)`, `bytes_per_token`; `HalfCodec`, `TransformCodec`.
- `calibration`: `Moments`, which counts rows at a cut, and `Statistics` of them; `codec_of(name, statistics)`,
  `transfer(codec)` for a `Chain`, `CODECS` by name.
- `evaluation`: `score(chain, windows)`, `change(base, other)` with intervals, `sensitivities` by cut and codec.
- `store`: `save` and `load` of statistics by cut. `texts`: `text(name)`, what all this is done on.
"""

"""Protobuf messages of Cosmos chains, in strict and canonical encoding.

- `wire`: `Message` (`encode()`, `Class.decode(data, strict=True)`), `message` and the field functions;
  `scalars.WireError` is the one error.
- `well_known`: `Any` (`Any.of(m)`, `.open()`, `.opened_as(Class)`), `Timestamp`, `Duration` (both with `of_ns`, `.ns`).
- `comet`: blocks, votes, commits, validator sets, `ProofOps`, ABCI events and results.
- `ics23`: proofs and their specifications.
"""

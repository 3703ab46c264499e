"""Protobuf messages of Cosmos chains, in strict and canonical encoding.

- `wire`: `Message` (`encode()`, `Class.decode(data, strict=True)`), `message` and the field functions;
  `scalars.WireError` is the one error.
- `well_known`: `Any` (`Any.of(m)`, `.open()`, `.opened_as(Class)`), `Timestamp`, `Duration` (both with `of_ns`, `.ns`).
- `comet`: blocks, votes, commits, validator sets, `ProofOps`, ABCI events and results.
- `ics23`: proofs and their specifications.
- `ibc`: Height, MerkleProof, the Tendermint client's states, Header and Misbehaviour, messages of clients (v1 and v2).
- `connection`, `channel` (packets of IBC v1), `channel_v2` (packets of IBC v2), `transfer` (ICS-20).
- `queries`, `queries_v2`: questions to `abci_query` about IBC, and their answers.
- `cosmos_base` (Coin, pages), `cosmos`: transactions, accounts, bank, simulation, and their queries.

Questions and answers of other software are decoded with `strict=False`, transactions strictly.
"""

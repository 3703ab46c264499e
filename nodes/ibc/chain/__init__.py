"""A chain that speaks IBC: a Cosmos SDK application on CometBFT's blocks, RPC and proofs, in one process.

- `genesis`: `Settings` and `chain_of(settings, genesis_time_ns)`, the chain without sockets and clocks; `funded`;
  `Extension`: a module that settings switch on.
- `chain`: `Limits`, `Chain` with `submit(tx)`, `produce(now_ns)`, `simulate(tx)`, `restore(block, commit)`,
  `fork(entry)`.
- `app`: `App`, `Module` (what handles messages), `Moment`; `modules`: those of the bank and of IBC; `ante`: what is
  asked of a transaction first.
- `bank`: `Bank`, which `nodes.ibc.core` uses, too; `auth`: `Accounts`.
- `keys`: `AccountKey.named(name)`, `ValidatorKey`; `bech32`: `encode`, `decode`.
- `transactions`: `read`, `sign_bytes`, `tx_hash`; `ledger`: `Ledger`, `Entry`, `Transacted`.
- `queries`: `Queries`, `Question`: what `abci_query` answers; `query`: the language of searches and subscriptions.
- `ibc_queries`, `ibc_queries_v2`: the questions of ibc-go. `store/ibc/key` gives proofs of two layers.
- `rpc`: `Methods`; `server`: `Server` (aiohttp); `process`: `Chain`, the node program.
"""

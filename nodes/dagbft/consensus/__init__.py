"""The consensus core: from blocks of a certified DAG it derives committed batches and early-final blocks.

Invariant: no module here uses time, sockets, keys or randomness. The events are a function of the blocks, the coin
values and the order of both; the committed blocks and their order do not depend on that order.

Begin to read at `core.Consensus`. Its parts, in the order of the data: `committee` (leaders, and the shard of each
author), `dag` (blocks and their pasts), `bullshark`, `asynchronous` and `shoal` (rules by which leaders are committed),
`ordering` (a leader's batch), `early` (blocks that are final before commit), `selfcheck`. `support_gated` is another
order with another early rule. `run_file` replays a DAG from a file.
"""

"""The pure consensus core: blocks of a certified DAG go in, committed batches and early-final blocks come out.

Invariant: nothing here knows time, sockets, keys or randomness. What comes out is a function of the blocks, the coin
values and the order in which they went in; which blocks are committed, and in what order, does not even depend on that
order.

`core.Consensus` is the door. Below it, in the order of the data: `committee` (who leads, who is in charge of which
shard), `dag` (blocks and their pasts), `bullshark` and `asynchronous` (which leaders are committed), `ordering` (what
a leader's batch is), `early` (what is final before it is committed), `selfcheck`. `support_gated` is another order
with another early rule. `run_file` plays a DAG from a file, `generate` makes random ones.
"""

"""A chain whose validators are processes of their own: `nodes.dagbft` orders, everybody executes.

Transactions, votes and the wish for a block go through one order; each validator makes the same blocks of it, and
signs them.

- `items`: what is ordered. `tally`: the votes for one block.
- `core`: `ValidatorCore`, from ordered items to blocks, without sockets and clocks.
- `ordering`: `Ordering`, the DAG-BFT's cores on a node's sockets and disk. `process`: `Validator`, the node program.
"""

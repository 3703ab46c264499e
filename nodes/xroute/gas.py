"""What work costs that messages of `xname` and `xroute` cause beside the use of stores: the one table of its prices.

Invariant: work is paid by what a message brings, before it is done, and alike whether a node has cached it or not.

Whoever does the work spends the gas (`Context.spend`): signatures, routes and headers by their bytes, policies. Light
clients do so themselves (`nodes.ibc.client.keeper`), and stores count what is read and written (`nodes.ibc.chain.gas`).
The prices are in proportion to processor time here, by that of a signature, about 12 a microsecond: 50 µs for a
signature, 4 to 9 µs to read a byte of a policy, 0.1 µs to verify a byte of a proof, 200 µs to rank the most relayers.
"""

from __future__ import annotations

from nodes.ibc.client.keeper import PROOF_GAS_PER_BYTE, VALIDATOR_SIGNATURE_GAS

__all__ = ["POLICY_BYTE", "PROOF_BYTE", "RANKING", "SIGNATURE"]

SIGNATURE = VALIDATOR_SIGNATURE_GAS  # Ed25519: of validators, of owners of names, of relayers
PROOF_BYTE = PROOF_GAS_PER_BYTE  # of routes, and of headers that join a client with its anchor
POLICY_BYTE = 60  # canonical
RANKING = 2500  # of a message with a fee: the next block ranks its relayers

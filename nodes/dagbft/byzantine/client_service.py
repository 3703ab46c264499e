"""A validator that lies to clients: it signs results that are none, and tells values that keys do not have.

Invariant: its blocks and votes are honest, and all it says at its door is well formed and signed by its own key, so
that nothing but a comparison with others can show the lie.
"""

from __future__ import annotations

from nodes.dagbft.execution.transactions import Outcome, result_hash
from nodes.dagbft.primary.client_service import ClientService


class FalseClientService(ClientService):
    """Tells every outcome and every value otherwise than it is."""

    def result(self, transaction: bytes, outcome: Outcome) -> bytes:
        return result_hash(transaction, "false")

    def values(self, values: tuple[tuple[int, int, int], ...]) -> tuple[tuple[int, int, int], ...]:
        return tuple([(key, value ^ 1, 0) for key, value, _ in values])

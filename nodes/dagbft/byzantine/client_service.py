"""A validator with false answers to clients: it signs false results, and reports false values of keys.

Invariant: its blocks and votes are correct, and its answers to clients are well formed and signed by its own key, so
that only a comparison with other validators can reveal them.
"""

from __future__ import annotations

from nodes.dagbft.execution.transactions import Outcome, result_hash
from nodes.dagbft.primary.client_service import ClientService


class FalseClientService(ClientService):
    """Reports every outcome and every value falsely."""

    def result(self, transaction: bytes, outcome: Outcome) -> bytes:
        return result_hash(transaction, "false")

    def values(self, values: tuple[tuple[int, int, int], ...]) -> tuple[tuple[int, int, int], ...]:
        return tuple([(key, value ^ 1, 0) for key, value, _ in values])

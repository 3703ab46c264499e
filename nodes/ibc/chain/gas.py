"""Gas: what a transaction's work costs, up to the limit that it has set.

Invariant: a metered store gives and takes what the store below does; only gas is counted beside it.
"""

from __future__ import annotations

from collections.abc import Iterator

from nodes.ibc.chain.errors import OUT_OF_GAS
from nodes.ibc.core.state import Store

__all__ = ["GasMeter", "Metered"]

# Prices of the Cosmos SDK (store/types/gas.go, KVGasConfig).
READ_GAS, READ_GAS_PER_BYTE = 1000, 3
WRITE_GAS, WRITE_GAS_PER_BYTE = 2000, 30
DELETE_GAS, NEXT_GAS = 1000, 30


class GasMeter:
    """Counts gas, up to a limit."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.used = 0

    def spend(self, gas: int) -> None:
        """Count so much. AbciError where that is above the limit."""
        self.used += gas
        if self.used > self.limit:
            raise OUT_OF_GAS.error(f"out of gas: gasWanted: {self.limit}, gasUsed: {self.used}")


class Metered:
    """A store whose every use is paid for; writes are paid before they are made."""

    def __init__(self, below: Store, meter: GasMeter) -> None:
        self._below = below
        self._spend = meter.spend

    def get(self, key: bytes) -> bytes | None:
        value = self._below.get(key)
        self._spend(READ_GAS + READ_GAS_PER_BYTE * (len(key) + len(value or b"")))
        return value

    def set(self, key: bytes, value: bytes) -> None:
        self._spend(WRITE_GAS + WRITE_GAS_PER_BYTE * (len(key) + len(value)))
        self._below.set(key, value)

    def delete(self, key: bytes) -> None:
        self._spend(DELETE_GAS)
        self._below.delete(key)

    def iterate(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        for key, value in self._below.iterate(prefix):
            self._spend(NEXT_GAS + READ_GAS_PER_BYTE * (len(key) + len(value)))
            yield key, value

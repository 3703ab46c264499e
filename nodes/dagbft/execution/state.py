"""The key-value state, layers over it, and the effect of operations.

Invariant: the outputs of operations are a function of the operations and of the values of the keys that they name. A
key that was never written has the value 0.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from hashlib import blake2b
from struct import Struct

from emulator.model.errors import Unfit
from nodes.dagbft.execution.transactions import Operations

_MASK = (1 << 64) - 1
_PAIR = Struct(">QQ")


class State(dict[int, int]):
    """Values by key."""

    def __missing__(self, key: int) -> int:
        return 0

    def encode(self) -> bytes:
        """All values other than 0 by rising key, 16 bytes a key. Equal states have equal bytes."""
        return b"".join([_PAIR.pack(key, value) for key, value in sorted(self.items()) if value])

    @classmethod
    def decode(cls, data: bytes) -> State:
        """The state that `encode` made into these bytes. ValueError for any other bytes."""
        if len(data) % _PAIR.size:
            raise Unfit(f"state of {len(data)} bytes", f"a multiple of {_PAIR.size}")
        state = cls(_PAIR.iter_unpack(data))
        if state.encode() != data:
            raise Unfit("state that is out of order", "rising keys, each once, without zeros")
        return state

    def digest(self) -> bytes:
        return blake2b(self.encode(), digest_size=32, person=b"dagbft state").digest()


class Layer(dict[int, int]):
    """Values that hide those of the layer below."""

    def __init__(self, below: MutableMapping[int, int]) -> None:
        super().__init__()
        self._below = below

    def __missing__(self, key: int) -> int:
        return self._below[key]


def apply(operations: Operations, values: MutableMapping[int, int]) -> tuple[int, ...]:
    """Do the operations in order on `values`; returns their outputs, one number each."""
    put_out = []
    for code, key, other, value in operations:
        if code == 2:  # ADD
            values[key] = value = (values[key] + value) & _MASK
        elif code == 1:  # PUT
            values[key] = value
        elif code == 0:  # GET
            value = values[key]
        elif code == 3:  # SWAP
            if swapped := values[key] == other:
                values[key] = value
            value = int(swapped)
        else:  # TRANSFER
            balance = values[key]
            if enough := balance >= value:
                values[key] = balance - value
                values[other] = (values[other] + value) & _MASK
            value = int(enough)
        put_out.append(value)
    return tuple(put_out)

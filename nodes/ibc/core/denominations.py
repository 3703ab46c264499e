"""ICS-20 denominations: a base token and the hops that it took, newest first.

On a chain that the token reached by hops it is the voucher `ibc/HASH`, where HASH is of the whole path.
Source: ICS-20, ibc-go `modules/apps/transfer/types/{denom,hop}.go`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from nodes.ibc.core.errors import DENOMINATION_NOT_FOUND, INVALID_DENOMINATION
from nodes.ibc.core.identifiers import is_generated_channel, is_generated_client
from nodes.ibc.core.state import Store

VOUCHER_PREFIX = "ibc/"
_KEY = b"\x03"


@dataclass(frozen=True)
class Hop:
    """The channel end (or client, for v2) through which a token arrived, named by the chain that it arrived at."""

    port: str
    channel: str

    def __str__(self) -> str:
        return f"{self.port}/{self.channel}"


@dataclass(frozen=True)
class Denomination:
    base: str
    trace: tuple[Hop, ...] = ()

    @classmethod
    def parse(cls, path: str) -> Denomination:
        """A path `PORT/CHANNEL/…/BASE`. A base may contain slashes: a pair is a hop where a chain can have made its
        second part, and only in a path of more than two parts."""
        parts = path.split("/")
        trace: list[Hop] = []
        while len(parts) > 1 and (trace or len(parts) > 2) and _names_hop(parts[1]):
            trace.append(Hop(parts[0], parts[1]))
            parts = parts[2:]
        return cls("/".join(parts), tuple(trace))

    @cached_property
    def path(self) -> str:
        return "/".join([*map(str, self.trace), self.base])

    @cached_property
    def hash(self) -> bytes:
        return sha256(self.path.encode()).digest()

    @property
    def local(self) -> str:
        """The denomination that the bank of the chain knows."""
        return f"{VOUCHER_PREFIX}{self.hash.hex().upper()}" if self.trace else self.base

    def arrived_through(self, port: str, channel: str) -> bool:
        """Whether the newest hop is this end, so that a transfer through it sends the token back."""
        return bool(self.trace) and self.trace[0] == Hop(port, channel)

    def through(self, port: str, channel: str) -> Denomination:
        """The denomination after one more hop."""
        return Denomination(self.base, (Hop(port, channel), *self.trace))

    def back(self) -> Denomination:
        """The denomination without its newest hop."""
        return Denomination(self.base, self.trace[1:])

    def check(self) -> Denomination:
        if not self.base.strip():
            raise INVALID_DENOMINATION.error("base denomination cannot be blank")
        return self

    def json(self) -> str:
        """As Go's encoding/json writes ibc-go's Denom."""
        trace = [{"port_id": hop.port, "channel_id": hop.channel} for hop in self.trace] or None
        return json.dumps({"base": self.base, "trace": trace}, separators=(",", ":"), ensure_ascii=False)


def _names_hop(identifier: str) -> bool:
    return is_generated_channel(identifier) or is_generated_client(identifier)


def remember(store: Store, denomination: Denomination) -> bool:
    """Keep the path of a voucher. True when the chain did not know it."""
    key = _KEY + denomination.hash
    if store.get(key) is not None:
        return False
    store.set(key, denomination.path.encode())
    return True


def recall(store: Store, denom: str) -> Denomination:
    """The denomination behind a name in the bank. Raises for a voucher that nobody sent to this chain."""
    if not denom.startswith(VOUCHER_PREFIX):
        return Denomination(denom).check()
    try:
        digest = bytes.fromhex(denom.removeprefix(VOUCHER_PREFIX))
    except ValueError:
        digest = b""
    if len(digest) != 32:
        raise INVALID_DENOMINATION.error(f"{denom!r}; expected ibc/ and 64 hexadecimal digits")
    path = store.get(_KEY + digest)
    if path is None:
        raise DENOMINATION_NOT_FOUND.error(denom)
    return Denomination.parse(path.decode())


def known(store: Store) -> list[Denomination]:
    """All vouchers that ever arrived, by hash."""
    return [Denomination.parse(path.decode()) for _, path in store.iterate(_KEY)]

"""The light clients of the chains that a relayer keeps up to date, for routes and for names alike.

Invariant: of each client on a chain there is one `Client`, so that what it knows is known to all who use it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from nodes.ibc.comet.commits import SignatureCache
from nodes.ibc.relayer.clients import Client
from nodes.ibc.relayer.clock import Clock

__all__ = ["Clients"]


@dataclass
class Clients:
    """Clients by the chain that has them and by name."""

    clock: Clock
    known: dict[tuple[str, str], Client] = field(default_factory=dict)
    _cache: SignatureCache = field(default_factory=SignatureCache)

    def client(self, host: str, name: str, subject: str) -> Client:
        """The client `name` on `host`, which tracks `subject`."""
        key = host, name
        if key not in self.known:
            self.known[key] = Client(host, name, subject, self.clock, self._cache)
        return self.known[key]

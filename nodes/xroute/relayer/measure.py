"""What a relayer measures of chains and edges, to tell others: claims, which decide the order of attempts alone.

Invariant: it is about the last blocks and attempts only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from nodes.ibc.relayer.calls import Block
from nodes.xroute.flooding.ads import ChainClaims, EdgeClaims
from nodes.xroute.identity import ChainIdentity
from nodes.xroute.routes.graph import EdgeKey, Graph

__all__ = ["Measured"]

BLOCKS = 20  # that congestion and block times are of
ATTEMPTS = 50  # that the share of successes is of
LEAST_PRICE = 100  # of gas, in millionths of a fee's unit: what a chain that is not half full costs
_STEPS = 8  # a price changes by at most one of so many parts a block, as base fees of Ethereum do (EIP-1559)
_PPM = 1_000_000


@dataclass
class _Chain:
    times_ns: deque[int] = field(default_factory=lambda: deque(maxlen=BLOCKS + 1))
    gas: deque[int] = field(default_factory=lambda: deque(maxlen=BLOCKS))
    transactions: deque[int] = field(default_factory=lambda: deque(maxlen=BLOCKS))
    price: int = LEAST_PRICE

    @property
    def transaction_cost(self) -> int:
        """What one costs at this price, by those of the last blocks."""
        return self.price * (sum(self.gas) // max(1, sum(self.transactions)))


@dataclass
class Measured:
    """What was measured. `block_gas` is the limit of the chains' blocks; 0 where they have none."""

    block_gas: int = 0
    _chains: dict[str, _Chain] = field(default_factory=dict)
    _attempts: dict[EdgeKey, deque[bool]] = field(default_factory=dict)

    def saw(self, chain: str, block: Block) -> None:
        """A chain has made a block."""
        found = self._chains.setdefault(chain, _Chain())
        found.times_ns.append(block.time_ns)
        found.gas.append(sum(result.gas_used for result in block.results))
        found.transactions.append(len(block.results))
        if self.block_gas:
            above = min(found.gas[-1], self.block_gas) - self.block_gas // 2
            found.price = max(LEAST_PRICE, found.price + found.price * above // (_STEPS * (self.block_gas // 2)))

    def tried(self, edge: EdgeKey, success: bool) -> None:
        """A message was brought over an edge, or was not."""
        self._attempts.setdefault(edge, deque(maxlen=ATTEMPTS)).append(success)

    def load(self, chain: str) -> ChainClaims | None:
        """How full a chain's blocks are; None where they have no limit, or none was seen."""
        found = self._chains.get(chain)
        if found is None or not self.block_gas or not found.gas:
            return None
        return ChainClaims(min(_PPM, sum(found.gas) * _PPM // (len(found.gas) * self.block_gas)))

    def edges(self, graph: Graph, chain_of: Mapping[ChainIdentity, str]) -> dict[EdgeKey, EdgeClaims]:
        """What it takes to use each edge: the tracked chain's block time, how often it worked, and, where blocks have a
        limit, what it costs to update the client at a price that follows how full the blocks of its chain are."""
        found = {}
        for edge in graph.edges:
            chain = self._chains.get(chain_of.get(edge.tracked, ""))
            if chain is None or len(chain.times_ns) < 2:
                continue
            steps = [later - earlier for earlier, later in pairwise(chain.times_ns)]
            attempts = self._attempts.get(edge.key, ())
            share = sum(attempts) * _PPM // len(attempts) if attempts else _PPM
            host = self._chains.get(chain_of.get(edge.verifier, "")) if self.block_gas else None
            found[edge.key] = EdgeClaims(
                block_ms_p50=round(median(steps) / 1e6),
                gas_price=host.price if host else 0,
                update_cost=host.transaction_cost if host else 0,
                success_ppm=share,
            )
        return found

"""What relayers measure: prices of edges that follow how full the blocks of their chains are."""

from __future__ import annotations

from nodes.ibc.relayer.calls import Block, TxResult
from nodes.xroute.flooding.ads import EdgeClaims
from nodes.xroute.identity import ChainIdentity
from nodes.xroute.relayer.measure import LEAST_PRICE, Measured
from nodes.xroute.routes.graph import Chain, Edge, Graph, both_ways

A, B = ChainIdentity(b"a" * 32), ChainIdentity(b"b" * 32)
NAMES = {A: "a", B: "b"}
THERE, BACK = both_ways(Edge(A, B, "07-tendermint-0", "07-tendermint-1"))
GRAPH = Graph([Chain(A, "a"), Chain(B, "b")], [THERE, BACK])
FULL = 1_000_000


def claims(used: list[int], block_gas: int = FULL) -> EdgeClaims:
    """Of the client on a, after blocks of a that used so much gas, in two transactions each; b's are empty."""
    measured = Measured(block_gas)
    for height, gas in enumerate(used, 1):
        results = tuple(TxResult(0, "", "", gas // 2, ()) for _ in range(2))
        measured.saw("a", Block(height, height * 10**9, results))
        measured.saw("b", Block(height, height * 10**9, ()))
    return measured.edges(GRAPH, NAMES)[THERE.key]


def test_a_price_moves_by_an_eighth_a_block_around_half_of_the_limit() -> None:
    prices = [claims([0, FULL, used]).gas_price for used in (FULL, FULL // 2, 0)]
    risen = LEAST_PRICE + LEAST_PRICE // 8
    assert prices == [risen + risen // 8, risen, LEAST_PRICE]
    assert claims([0] * 9).gas_price == LEAST_PRICE
    assert claims([FULL] * 30).gas_price > 20 * LEAST_PRICE
    assert claims([9 * FULL] * 3).gas_price == claims([FULL] * 3).gas_price, "no block counts as more than full"


def test_the_cost_of_an_update_is_that_of_a_transaction_there() -> None:
    told = claims([FULL // 2] * 4)
    assert told.update_cost == told.gas_price * FULL // 4
    assert claims([FULL // 2] * 4, block_gas=0) == EdgeClaims(block_ms_p50=1000, success_ppm=10**6)

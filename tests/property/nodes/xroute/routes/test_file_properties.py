"""Files of graphs and of the chain registry: whatever they hold, it is read or refused with words."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.model.errors import Unfit
from nodes.xroute.routes.files import document_of, graph_of, unanchored
from nodes.xroute.routes.graph import Graph
from nodes.xroute.routes.registry import joined, listed_of, pair_of, with_powers

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
LISTED = [{"chain_name": name, "chain_id": f"{name}-1", "status": "live", "network_type": "mainnet"} for name in "ab"]
PAIR = {
    "chain_1": {"chain_name": "a", "client_id": "07-tendermint-1", "connection_id": "connection-1"},
    "chain_2": {"chain_name": "b", "client_id": "07-tendermint-2", "connection_id": "connection-1"},
    "channels": [{"chain_1": {"port_id": "transfer"}, "chain_2": {"port_id": "transfer"}}],
}
GRAPH = {
    "chains": [{"name": "a", "nakamoto": 3, "transit": {"rule": "only-to", "chains": ["b"]}}, {"name": "b"}],
    "edges": [{"verifier": "a", "tracked": "b", "client": "07-tendermint-1", "counterparty": "07-tendermint-2"}],
}


def places(document: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """All places of a document, as keys from the top."""
    inner = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [at, *(place for key, value in inner for place in places(value, (*at, key)))]


@st.composite
def damaged(draw: st.DrawFn, document: Any) -> Any:
    """A document with something else in one place, or nothing there."""
    changed = copy.deepcopy(document)
    *way, last = draw(st.sampled_from([place for place in places(document) if place]))
    holder = changed
    for key in way:
        holder = holder[key]
    if draw(st.booleans()):
        holder[last] = draw(ANYTHING)
    else:
        del holder[last]
    return changed


@settings(max_examples=200)
@given(
    st.one_of(
        st.tuples(st.just(graph_of), ANYTHING | damaged(GRAPH)),
        st.tuples(st.just(listed_of), ANYTHING | damaged(LISTED[0])),
        st.tuples(st.just(pair_of), ANYTHING | damaged(PAIR)),
        st.tuples(st.just(lambda powers: with_powers(graph_of(GRAPH), powers)), ANYTHING | damaged({"a": [3, 2]})),
    )
)
def test_what_is_no_such_document_is_refused_with_words(case: tuple[Callable[[Any], object], Any]) -> None:
    read, document = case
    with suppress(Unfit):
        read(document)


def test_what_the_importer_writes_is_read_back() -> None:
    notes: list[str] = []
    graph, chain_ids = joined([listed_of(each) for each in LISTED], [pair_of(PAIR)], notes)
    again: Graph = graph_of(document_of(graph, "a test", chain_ids))
    assert (again.chains, again.edges, notes) == (graph.chains, graph.edges, [])
    assert chain_ids[unanchored("a-1")] == "a-1"

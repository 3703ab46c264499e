"""What subscribers are told of a block: NewBlock, NewBlockHeader, and Tx for each transaction.

Invariant: each subscriber gets each event that its query matches once, blocks in order and a block before its
transactions.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Any

from nodes.ibc.chain import shapes
from nodes.ibc.chain.ledger import Entry, Transacted
from nodes.ibc.chain.query import Attributes, Condition, matches, parse
from nodes.ibc.comet.json_form import write_base64, write_block_id, write_header

__all__ = ["MOST_SUBSCRIPTIONS", "Notice", "Subscriptions", "notices"]

MOST_SUBSCRIPTIONS = 32  # of one connection
NEW_BLOCK, NEW_HEADER, TX = KINDS = ("NewBlock", "NewBlockHeader", "Tx")
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Notice:
    """An event, and what queries see of it."""

    kind: str
    attributes: Attributes
    value: Json

    def form(self, id: Any, query: str) -> Json:
        """The message to a subscriber: an answer to its request, again."""
        data = {"type": f"tendermint/event/{self.kind}", "value": self.value}
        return {"jsonrpc": "2.0", "id": id, "result": {"query": query, "data": data, "events": self.attributes}}


def notices(entry: Entry, kinds: Container[str]) -> Iterator[Notice]:
    """The events of a block that are of these kinds, in CometBFT's order."""
    if NEW_BLOCK in kinds:
        yield _of_block(entry)
    if NEW_HEADER in kinds:
        yield Notice(NEW_HEADER, entry.attributes(NEW_HEADER), {"header": write_header(entry.block.header)})
    if TX in kinds:
        yield from map(_of_transaction, entry.transactions)


def _of_block(entry: Entry) -> Notice:
    block = shapes.block_form(entry.block)
    results = shapes.block_results(entry)
    outcome = {
        "events": [],
        "tx_results": results["txs_results"],
        "validator_updates": [],
        "app_hash": results["app_hash"],
    }
    value = {"block": block, "block_id": write_block_id(entry.block.id), "result_finalize_block": outcome}
    return Notice(NEW_BLOCK, entry.attributes(NEW_BLOCK), value)


def _of_transaction(transacted: Transacted) -> Notice:
    value = {
        "height": str(transacted.height),
        "index": transacted.index,
        "tx": write_base64(transacted.data),
        "result": shapes.result_form(transacted.result),
    }
    return Notice(TX, transacted.attributes(), {"TxResult": value})


class Subscriptions:
    """The subscriptions of one connection, by query."""

    def __init__(self) -> None:
        self._queries: dict[str, tuple[Any, tuple[Condition, ...]]] = {}

    def add(self, id: Any, query: str) -> None:
        """Subscribe. QueryError where it is no query; ValueError where there is no room, or it is there already."""
        conditions = parse(query)
        if query in self._queries:
            raise ValueError("already subscribed")
        if len(self._queries) >= MOST_SUBSCRIPTIONS:
            raise ValueError(f"max_subscriptions_per_client {MOST_SUBSCRIPTIONS} reached")
        self._queries[query] = id, conditions

    def remove(self, query: str) -> None:
        """Unsubscribe. ValueError where it is not there."""
        if self._queries.pop(query, None) is None:
            raise ValueError("subscription not found")

    def clear(self) -> None:
        self._queries.clear()

    def kinds(self) -> set[str]:
        """The kinds of events that a query may match: those that it names, or all."""
        found: set[str] = set()
        for _, conditions in self._queries.values():
            named = {str(each.operand) for each in conditions if each.key == "tm.event" and each.operator == "="}
            found.update(named or KINDS)
        return found

    def messages(self, notice: Notice) -> Iterator[Json]:
        """What this connection is told of an event."""
        for query, (id, conditions) in self._queries.items():
            if matches(conditions, notice.attributes):
                yield notice.form(id, query)

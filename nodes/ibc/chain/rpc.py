"""CometBFT's RPC methods over a chain: parameters in, JSON out.

Invariant: a method answers at once, or raises RpcError with the code and the words that CometBFT has for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from nodes.ibc.chain import shapes
from nodes.ibc.chain.chain import Chain
from nodes.ibc.chain.ledger import Entry
from nodes.ibc.chain.mempool import MempoolRefusal
from nodes.ibc.chain.parameters import FLAG, HEX, NUMBER, OCTETS, TEXT, Kind
from nodes.ibc.chain.queries import Queries
from nodes.ibc.chain.query import QueryError, parse
from nodes.ibc.chain.results import TxResult
from nodes.ibc.chain.transactions import tx_hash
from nodes.ibc.comet.json_form import write_base64, write_commit, write_header, write_hex, write_validators
from nodes.ibc.comet.moments import write_time

__all__ = ["INTERNAL_ERROR", "INVALID_PARAMS", "INVALID_REQUEST", "METHOD_NOT_FOUND", "PARSE_ERROR", "Methods",
           "RpcError"]  # fmt: skip

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS, INTERNAL_ERROR = -32700, -32600, -32601, -32602, -32603
_WORDS = {
    PARSE_ERROR: "Parse error. Invalid JSON", INVALID_REQUEST: "Invalid Request", METHOD_NOT_FOUND: "Method not found",
    INVALID_PARAMS: "Invalid params", INTERNAL_ERROR: "Internal error",
}  # fmt: skip
VERSION = "0.38.17"  # of CometBFT, whose RPC this is: clients choose their dialect by it
MOST_PER_PAGE = 100
MOST_BLOCK_METAS = 20
Json = dict[str, Any]
T = TypeVar("T")
NO_FORKS: Mapping[int, Entry] = {}


class RpcError(Exception):
    """A request that is answered with an error."""

    def __init__(self, code: int, data: str) -> None:
        super().__init__(data)
        self.code = code
        self.data = data

    def form(self) -> Json:
        return {"code": self.code, "message": _WORDS[self.code], "data": self.data}


@dataclass(frozen=True, slots=True)
class Method:
    """A method: parameters by name, in their order as an array, and what answers them."""

    parameters: Mapping[str, Kind]
    answer: Callable[..., Json]


class Methods:
    """What a node answers. `moniker` and `listens` are of the node, not of the chain."""

    def __init__(
        self,
        chain: Chain,
        queries: Queries,
        moniker: str,
        listens: str,
        genesis: Json,
        forks: Mapping[int, Entry] = NO_FORKS,
        submit: Callable[[bytes], TxResult] | None = None,
    ) -> None:
        self._chain = chain
        self._submit = submit or chain.submit
        self._queries = queries
        self._moniker = moniker
        self._listens = listens
        self._genesis = genesis
        self._forks = forks  # blocks that are shown instead of the chain's own, by height
        page = {"page": NUMBER, "per_page": NUMBER}
        search = {"query": TEXT, "prove": FLAG, **page, "order_by": TEXT}
        self.table: dict[str, Method] = {
            "health": Method({}, lambda: {}),
            "status": Method({}, self.status),
            "net_info": Method({}, self.net_info),
            "genesis": Method({}, lambda: {"genesis": self._genesis}),
            "abci_info": Method({}, self.abci_info),
            "abci_query": Method({"path": TEXT, "data": HEX, "height": NUMBER, "prove": FLAG}, self.abci_query),
            "block": Method({"height": NUMBER}, self.block),
            "block_by_hash": Method({"hash": OCTETS}, self.block_by_hash),
            "block_results": Method({"height": NUMBER}, self.block_results),
            "blockchain": Method({"minHeight": NUMBER, "maxHeight": NUMBER}, self.blockchain),
            "header": Method({"height": NUMBER}, self.header),
            "commit": Method({"height": NUMBER}, self.commit),
            "validators": Method({"height": NUMBER, **page}, self.validators),
            "tx": Method({"hash": OCTETS, "prove": FLAG}, self.tx),
            "tx_search": Method(search, self.tx_search),
            "block_search": Method({"query": TEXT, **page, "order_by": TEXT}, self.block_search),
            "broadcast_tx_sync": Method({"tx": OCTETS}, self.broadcast_tx_sync),
            "broadcast_tx_async": Method({"tx": OCTETS}, self.broadcast_tx_async),
            "unconfirmed_txs": Method({"limit": NUMBER}, self.unconfirmed_txs),
            "num_unconfirmed_txs": Method({}, lambda: self.unconfirmed_txs(0)),
        }

    def status(self) -> Json:
        latest, first = self._at(0), self._chain.ledger[self._chain.ledger.first]
        me = self._chain.committee.at(latest.block.height).validators[0]
        return {
            "node_info": {
                "protocol_version": {"p2p": "8", "block": str(latest.block.header.version.block), "app": "0"},
                "id": me.address.hex(),
                "listen_addr": self._listens,
                "network": self._chain.app.chain_id,
                "version": VERSION,
                "channels": "40202122233038606100",
                "moniker": self._moniker,
                "other": {"tx_index": "on", "rpc_address": self._listens},
            },
            "sync_info": {
                "latest_block_hash": write_hex(latest.block.id.hash),
                "latest_app_hash": write_hex(latest.block.header.app_hash),
                "latest_block_height": str(latest.block.height),
                "latest_block_time": write_time(latest.block.header.time),
                "earliest_block_hash": write_hex(first.block.id.hash),
                "earliest_app_hash": write_hex(first.block.header.app_hash),
                "earliest_block_height": str(first.block.height),
                "earliest_block_time": write_time(first.block.header.time),
                "catching_up": False,
            },
            "validator_info": {
                key: value for key, value in write_validators((me,))[0].items() if key != "proposer_priority"
            },
        }

    def net_info(self) -> Json:
        return {"listening": True, "listeners": [self._listens], "n_peers": "0", "peers": []}

    def abci_info(self) -> Json:
        latest = self._at(0)
        return {
            "response": {
                "data": "skyloom",
                "version": VERSION,
                "app_version": "0",
                "last_block_height": str(latest.block.height),
                "last_block_app_hash": write_base64(latest.app_hash),
            }
        }

    def abci_query(self, path: str, data: bytes, height: int, prove: bool) -> Json:
        return {"response": shapes.answer_form(self._queries.answer(path, data, height, prove))}

    def block(self, height: int) -> Json:
        return shapes.identified_block(self._at(height).block)

    def block_by_hash(self, hash: bytes) -> Json:
        found = self._chain.ledger.by_block_hash(hash)
        return shapes.identified_block(found.block) if found else {"block_id": None, "block": None}

    def block_results(self, height: int) -> Json:
        return shapes.block_results(self._at(height))

    def blockchain(self, minHeight: int, maxHeight: int) -> Json:
        ledger = self._chain.ledger
        last = min(maxHeight or ledger.last, ledger.last)
        first = max(minHeight or 1, ledger.first, last - MOST_BLOCK_METAS + 1)
        if minHeight > last:
            raise RpcError(INTERNAL_ERROR, f"min height {minHeight} can't be greater than max height {last}")
        metas = [shapes.block_meta(self._at(height).block) for height in range(last, first - 1, -1)]
        return {"last_height": str(ledger.last), "block_metas": metas}

    def header(self, height: int) -> Json:
        return {"header": write_header(self._at(height).block.header)}

    def commit(self, height: int) -> Json:
        entry = self._at(height)
        signed = {"header": write_header(entry.block.header), "commit": write_commit(entry.commit)}
        return {"signed_header": signed, "canonical": entry.block.height < self._chain.height}

    def validators(self, height: int, page: int, per_page: int) -> Json:
        height = self._at(height).block.height
        found = self._chain.committee.at(height)
        size = _per_page(per_page)
        return shapes.validators_form(height, found, _page(page, size, len(found.validators)), size)

    def tx(self, hash: bytes, prove: bool) -> Json:
        found = self._chain.ledger.transaction(hash)
        if found is None:
            raise RpcError(INTERNAL_ERROR, f"tx ({write_hex(hash)}) not found")
        return shapes.transaction_form(found, self._at(found.height).block if prove else None)

    def tx_search(self, query: str, prove: bool, page: int, per_page: int, order_by: str) -> Json:
        found, total = _paged(self._chain.ledger.search(_parsed(query)), page, per_page, order_by)
        forms = [shapes.transaction_form(each, self._at(each.height).block if prove else None) for each in found]
        return {"txs": forms, "total_count": str(total)}

    def block_search(self, query: str, page: int, per_page: int, order_by: str) -> Json:
        found, total = _paged(self._chain.ledger.search_blocks(_parsed(query)), page, per_page, order_by)
        return {"blocks": [shapes.identified_block(each.block) for each in found], "total_count": str(total)}

    def broadcast_tx_sync(self, tx: bytes) -> Json:
        try:
            result = self._submit(tx)
        except MempoolRefusal as refusal:
            raise RpcError(INTERNAL_ERROR, str(refusal)) from None
        return {"code": result.code, "data": "", "log": result.log, "codespace": result.codespace,
                "hash": write_hex(tx_hash(tx))}  # fmt: skip

    def broadcast_tx_async(self, tx: bytes) -> Json:
        return {**self.broadcast_tx_sync(tx), "code": 0, "log": "", "codespace": ""}

    def unconfirmed_txs(self, limit: int) -> Json:
        waiting = list(self._chain.mempool)
        shown = waiting[: min(limit, MOST_PER_PAGE)]
        return {
            "n_txs": str(len(shown) if limit else len(waiting)),
            "total": str(len(waiting)),
            "total_bytes": str(self._chain.mempool.size_bytes),
            "txs": [write_base64(tx) for tx in shown],
        }

    def _at(self, height: int) -> Entry:
        """The block of a height, 0 for the latest. RpcError where there is none, or none any more."""
        ledger = self._chain.ledger
        asked = height or ledger.last
        if asked < 0:
            raise RpcError(INTERNAL_ERROR, f"height must be greater than 0, but got {asked}")
        if asked > ledger.last or not ledger.last:
            words = f"height {asked} must be less than or equal to the current blockchain height {ledger.last}"
            raise RpcError(INTERNAL_ERROR, words)
        if asked < ledger.first:
            raise RpcError(INTERNAL_ERROR, f"height {asked} is not available, lowest height is {ledger.first}")
        return self._forks.get(asked) or ledger[asked]


def _parsed(query: str) -> Any:
    try:
        return parse(query)
    except QueryError as error:
        raise RpcError(INVALID_PARAMS, f"failed to parse query: {error}") from None


def _per_page(per_page: int) -> int:
    return min(per_page, MOST_PER_PAGE) if per_page > 0 else 30


def _page(page: int, per_page: int, total: int) -> int:
    pages = max(1, -(-total // per_page))
    if not 0 <= page <= pages:
        raise RpcError(INVALID_PARAMS, f"page should be within [1, {pages}] range, given {page}")
    return page or 1


def _paged(found: Sequence[T], page: int, per_page: int, order_by: str) -> tuple[Sequence[T], int]:
    """One page of what was found, oldest first unless `order_by` is "desc", and how many there are."""
    if order_by not in ("", "asc", "desc"):
        raise RpcError(INVALID_PARAMS, "expected order_by to be either `asc` or `desc` or empty")
    size = _per_page(per_page)
    number = _page(page, size, len(found))
    ordered = found[::-1] if order_by == "desc" else found
    return ordered[(number - 1) * size : number * size], len(found)

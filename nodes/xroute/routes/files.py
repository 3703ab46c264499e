"""Graphs as JSON files, which people write by hand, and which `skyloom import chain-registry` prints.

    {"source": "where it is from",
     "chains": [{"name": "a.zone", "chain_id": "a-1", "nakamoto": 8, "transit": {"rule": "deny"}}, …],
     "edges": [{"verifier": "a.zone", "tracked": "b.zone", "client": "07-tendermint-0",
                "counterparty": "07-tendermint-3", "freshness_ns": 5000000000, "fee": 10}, …]}

Invariant: what is read is a graph, or a DataError that names the file, the place in it and what is expected there.
What is left out is not known; a chain without `identity` has one that is made of its `chain_id`, or else of its name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from emulator.model.errors import DataError, Unfit
from emulator.model.inputs import parse_json, read_text
from nodes.ibc.client.tendermint import Status
from nodes.xroute.identity import ChainIdentity
from nodes.xroute.routes.graph import Chain, Claims, Edge, Graph, Transit, TransitRule

MOST_CHAINS = 10_000
MOST_EDGES = 100_000
NAME = re.compile(r"(?=.{1,255}$)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63}){0,3}")
CLIENT = re.compile(r"[A-Za-z0-9._+\-#\[\]<>]{4,64}")
_IDENTITY = re.compile("[0-9a-f]{64}")
_MOST = (1 << 63) - 1
_MILLION = 1_000_000
_CHAIN_NUMBERS = {
    "nakamoto": _MOST, "validators": _MOST, "top1_share_ppm": _MILLION, "stake_value": _MOST,
    "misbehaviour_age_ns": _MOST, "finality_ns": _MOST, "load_ppm": _MILLION,
}  # fmt: skip
_EDGE_NUMBERS = {
    "trust_level_ppm": _MILLION, "trusting_left_ns": _MOST, "freshness_ns": _MOST, "delay_ns": _MOST,
    "attest_m": _MOST, "attest_n": _MOST,
}  # fmt: skip
_CLAIMS = {"fee": _MOST, "latency_ms": _MOST, "success_ppm": _MILLION}


def unanchored(chain_id: str) -> ChainIdentity:
    """What stands for the identity of a chain of which no header is known: it holds as far as chain ids are unique."""
    return ChainIdentity(sha256(b"chain id alone" + chain_id.encode()).digest())


def read_graph(path: str) -> Graph:
    """The graph of a file."""
    try:
        return graph_of(parse_json(read_text(path)))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; expected a graph as JSON") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: no text; expected a graph as JSON") from None
    except ValueError as error:
        raise DataError(f"{path}: {error}") from None


def graph_of(document: Any) -> Graph:
    """The graph of a document. Unfit names the place."""
    if not isinstance(document, Mapping):
        raise Unfit("no object", "an object with `chains` and `edges`")
    chains = [_chain(entry) for entry in _entries(document, "chains", MOST_CHAINS)]
    identities = {chain.name: chain.identity for chain in chains}
    return Graph(chains, [_edge(entry, identities) for entry in _entries(document, "edges", MOST_EDGES)])


class _Entry:
    """One object of a list, and where it stands."""

    def __init__(self, where: str, fields: Mapping[str, Any]) -> None:
        self.where = where
        self._fields = dict(fields)

    def text(self, key: str, form: re.Pattern[str], expected: str) -> str | None:
        value = self._fields.pop(key, None)
        if value is not None and not (isinstance(value, str) and form.fullmatch(value)):
            raise Unfit(f"{self.where}.{key} is {_shown(value)}", expected)
        return value

    def needed(self, key: str, form: re.Pattern[str], expected: str) -> str:
        value = self.text(key, form, expected)
        if value is None:
            raise Unfit(f"{self.where} without `{key}`", expected)
        return value

    def numbers(self, most: Mapping[str, int]) -> dict[str, Any]:
        found = {}
        for key, largest in most.items():
            value = self._fields.pop(key, None)
            if value is not None and (type(value) is not int or not 0 <= value <= largest):
                raise Unfit(f"{self.where}.{key} is {_shown(value)}", f"a whole number, 0 to {largest}")
            found[key] = value
        return found

    def other(self, key: str) -> Any:
        return self._fields.pop(key, None)

    def end(self) -> None:
        if self._fields:
            raise Unfit(f"{self.where}.{next(iter(self._fields))}", "only keys that a graph has")


def _entries(document: Mapping[str, Any], key: str, most: int) -> list[_Entry]:
    values = document.get(key)
    if not isinstance(values, list) or not all(isinstance(value, Mapping) for value in values) or len(values) > most:
        raise Unfit(f"`{key}` is no list of at most {most:,} objects", "one")
    return [_Entry(f"{key}[{place}]", value) for place, value in enumerate(values)]


def _chain(entry: _Entry) -> Chain:
    name = entry.needed("name", NAME, "a name such as chain-a.zone")
    chain_id = entry.text("chain_id", re.compile(r".{1,128}", re.DOTALL), "a chain id")
    identity = entry.text("identity", _IDENTITY, "64 hex digits")
    chain = Chain(
        ChainIdentity(bytes.fromhex(identity)) if identity else unanchored(chain_id or name),
        name,
        entry.text("registry", NAME, "the name of a registry"),
        transit=_transit(entry),
        **entry.numbers(_CHAIN_NUMBERS),
    )
    entry.end()
    return chain


def _transit(entry: _Entry) -> Transit:
    value = entry.other("transit")
    if value is None:
        return Transit()
    rules = {rule.value: rule for rule in TransitRule}
    rule, chains = (value.get("rule"), value.get("chains", [])) if isinstance(value, Mapping) else (None, [])
    if not (isinstance(rule, str) and rule in rules and isinstance(chains, list) and all(map(_is_text, chains))):
        raise Unfit(f"{entry.where}.transit is {_shown(value)}", f"a `rule` of {', '.join(rules)}, and `chains`")
    return Transit(rules[rule], frozenset(chains))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _edge(entry: _Entry, identities: Mapping[str, ChainIdentity]) -> Edge:
    ends = [entry.needed(key, NAME, "the name of a chain") for key in ("verifier", "tracked")]
    for name in ends:
        if name not in identities:
            raise Unfit(f"{entry.where} names {name}", "a chain of `chains`")
    client, counterparty = (entry.needed(key, CLIENT, "the name of a client") for key in ("client", "counterparty"))
    states = {status.value: status for status in Status}
    status = entry.text("status", re.compile("|".join(states)), f"one of {', '.join(states)}")
    edge = Edge(
        identities[ends[0]],
        identities[ends[1]],
        client,
        counterparty,
        states[status or Status.ACTIVE.value],
        entry.text("client_type", re.compile("[a-z0-9-]{1,63}"), "a type such as tendermint") or type_of(client),
        claims=Claims(**entry.numbers(_CLAIMS)),
        **entry.numbers(_EDGE_NUMBERS),
    )
    entry.end()
    return edge


def type_of(client: str) -> str:
    """The type in a client's name, without the number before it: `tendermint` of `07-tendermint-3`."""
    return re.sub(r"^[0-9]+-|-[0-9]+$", "", client)


def document_of(graph: Graph, source: str, chain_ids: Mapping[ChainIdentity, str]) -> dict[str, Any]:
    """The document of a graph without claims, whose chains have no facts but their validators'."""
    names = {chain.identity: chain.name for chain in graph.chains}
    chains = [
        {"name": chain.name, "chain_id": chain_ids[chain.identity]}
        | {key: value for key in _CHAIN_NUMBERS if (value := getattr(chain, key)) is not None}
        for chain in graph.chains
    ]
    edges = [
        {
            "verifier": names[edge.verifier],
            "tracked": names[edge.tracked],
            "client": edge.client,
            "counterparty": edge.counterparty,
        }
        for edge in graph.edges
    ]
    return {"source": source, "chains": chains, "edges": edges}


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."

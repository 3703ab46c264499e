"""The graph of a checkout of the public chain registry (github.com/cosmos/chain-registry).

Read are `NAME/chain.json` (name, chain id, status, network) and `_IBC/*.json` (two clients that name each other, and
channels). Chains are those that are live on the main network and have a pair with a transfer channel.
Invariant: nothing of it is proven: a client that the registry lists may have expired. A file that cannot be used is
told with the reason, and the others are read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from emulator.model.errors import DataError, Unfit
from emulator.model.inputs import parse_json, read_text
from nodes.xroute.identity import ChainIdentity
from nodes.xroute.policy.power import nakamoto, top1_share_ppm
from nodes.xroute.routes.files import CLIENT, NAME, type_of, unanchored
from nodes.xroute.routes.graph import Chain, Edge, EdgeKey, Graph, both_ways

MOST_FILES = 20_000
MOST_FILE_BYTES = 2_000_000
_TRANSFER = "transfer"
_ANY = re.compile(".*", re.DOTALL)
_CHAIN_ID = re.compile("[!-~]{1,128}")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Listed:
    """A chain as the registry lists it."""

    name: str
    chain_id: str
    is_live: bool  # on the main network


@dataclass(frozen=True, slots=True)
class Pair:
    """Two chains with a client of each other."""

    names: tuple[str, str]
    clients: tuple[str, str]  # on the first chain, on the second one
    transfers: bool  # there is a channel between their transfer ports


@dataclass(frozen=True, slots=True)
class Imported:
    """A graph, the chain ids of its chains, and what is wrong with the registry."""

    graph: Graph
    chain_ids: Mapping[ChainIdentity, str]
    notes: tuple[str, ...]


def read_registry(directory: str) -> Imported:
    """The graph of a checkout. DataError where the folder has no pair of live chains."""
    root, notes = Path(directory), list[str]()
    chains = list(_read(root, "[!_.]*/chain.json", listed_of, notes))
    pairs = list(_read(root, "_IBC/*.json", pair_of, notes))
    graph, chain_ids = joined(chains, pairs, notes)
    if not graph.edges:
        said = f" ({notes[0]})" if notes else ""
        raise DataError(
            f"{directory}: no pair of live chains{said}; expected a checkout with NAME/chain.json and _IBC/"
        )
    return Imported(graph, chain_ids, tuple(notes))


def _read(root: Path, pattern: str, of: Callable[[Any], T], notes: list[str]) -> Iterator[T]:
    """What each file of a pattern says, in the order of names."""
    for count, path in enumerate(sorted(root.glob(pattern)), 1):
        if count > MOST_FILES:
            raise DataError(f"{root}: more than {MOST_FILES:,} files {pattern}; expected fewer")
        try:
            yield of(parse_json(read_text(path, MOST_FILE_BYTES)))
        except OSError as error:
            notes.append(f"left out: {path}: {error.strerror}")
        except ValueError as error:
            notes.append(f"left out: {path}: {error}")


def listed_of(document: Any) -> Listed:
    """A chain.json. Unfit where a field is missing."""
    live = _text(document, "status") == "live" and _text(document, "network_type") == "mainnet"
    return Listed(_text(document, "chain_name", NAME), _text(document, "chain_id", _CHAIN_ID), live)


def pair_of(document: Any) -> Pair:
    """A file of _IBC. Unfit where a field is missing."""
    ends = [_field(document, key, dict) for key in ("chain_1", "chain_2")]
    channels = _field(document, "channels", list)
    ports = [[_text(_field(channel, key, dict), "port_id") for key in ("chain_1", "chain_2")] for channel in channels]
    one, other = ((_text(end, "chain_name", NAME), _text(end, "client_id", CLIENT)) for end in ends)
    return Pair((one[0], other[0]), (one[1], other[1]), [_TRANSFER, _TRANSFER] in ports)


def joined(
    listed: Iterable[Listed], pairs: Iterable[Pair], notes: list[str]
) -> tuple[Graph, Mapping[ChainIdentity, str]]:
    """The graph of chains and pairs; what is wrong with them is appended to `notes`."""
    live = {chain.name: Chain(unanchored(chain.chain_id), chain.name) for chain in listed if chain.is_live}
    ids = {unanchored(chain.chain_id): chain.chain_id for chain in listed if chain.is_live}
    edges: dict[EdgeKey, Edge] = {}
    tracked: dict[tuple[str, str], str] = {}  # by chain and client
    for pair in pairs:
        if not pair.transfers or not all(name in live for name in pair.names):
            continue
        (a, b), (a_client, b_client) = pair.names, pair.clients
        both = both_ways(Edge(live[a].identity, live[b].identity, a_client, b_client, client_type=type_of(a_client)))
        if a == b or any(edge.key in edges for edge in both):
            notes.append(f"left out: {a} and {b}: a pair twice, or of one chain")
            continue
        for name, client, other in ((a, a_client, b), (b, b_client, a)):
            if (known := tracked.setdefault((name, client), other)) != other:
                notes.append(f"{client} on {name} tracks {known} and {other}, as it is listed; one of them is wrong")
        edges |= {edge.key: edge for edge in both}
    used = {edge.verifier for edge in edges.values()}
    return Graph([chain for chain in live.values() if chain.identity in used], edges.values()), ids


def with_powers(graph: Graph, powers: Any) -> Graph:
    """The graph with facts of validators: lists of powers by name of chain. Unfit for what is no list of powers."""
    if not isinstance(powers, Mapping):
        raise Unfit("no object", "lists of powers by name of chain")
    chains = []
    unknown = powers.keys() - {chain.name for chain in graph.chains}
    if unknown:
        raise Unfit(f"powers of {min(unknown)}", "of chains of the graph")
    for chain in graph.chains:
        held = powers.get(chain.name)
        if held is not None:
            if not isinstance(held, list) or not all(type(power) is int for power in held):
                raise Unfit(f"powers of {chain.name}", "a list of whole numbers")
            chain = replace(chain, nakamoto=nakamoto(held), validators=len(held), top1_share_ppm=top1_share_ppm(held))
        chains.append(chain)
    return Graph(chains, graph.edges)


_KINDS: dict[type, str] = {dict: "an object", list: "a list", str: "text"}


def _field(document: Any, key: str, kind: type) -> Any:
    value = document.get(key) if isinstance(document, Mapping) else None
    if not isinstance(value, kind):
        raise Unfit(f"`{key}` is {'missing' if value is None else 'something else'}", _KINDS[kind])
    return value


def _text(document: Any, key: str, form: re.Pattern[str] = _ANY) -> str:
    value: str = _field(document, key, str)
    if not form.fullmatch(value):
        raise Unfit(f"`{key}` is {value[:40]!r}", f"a text of the form {form.pattern}")
    return value

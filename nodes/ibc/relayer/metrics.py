"""What a relayer tells of itself under the names that Hermes gives it, as samples and as a page for Prometheus.

Invariant: reading changes nothing. Source: Hermes 1.13, telemetry (names, labels).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from nodes.ibc.relayer.core import Relayer
from nodes.ibc.relayer.packets import End

_HELP = {
    "backlog_size": "packets that were sent from an end and are not settled",
    "backlog_oldest_sequence": "the lowest sequence of them; 0: there is none",
    "client_updates_submitted_total": "headers that were sent to a client",
    "client_updates_skipped_total": "times that a height which a client knew already was enough",
    "client_age_s": "seconds since the newest header that a client knows",
    "queries_total": "requests to a chain",
    "ws_reconnect_total": "connections for news of blocks that were made again",
    "tx_submitted_total": "transactions that a chain's mempool took",
    "wallet_balance": "coins that an account of the relayer has for fees",
    "parked": "packets that were parked so far",
    "tx_latency_submitted": "ms from seeing what is to be done to the transaction's admission",
    "tx_latency_confirmed": "ms from seeing what is to be done to the block with the transaction",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """One value now. `key` tells it from others of its name in samples, `labels` on the page."""

    name: str
    value: float
    key: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


def readings(
    relayer: Relayer, queries: Mapping[tuple[str, str], int], reconnects: Mapping[str, int]
) -> Iterator[Reading]:
    """All values that change between packets. `queries`: requests by chain and kind."""
    ids = {name: chain.chain_id for name, chain in relayer.chains.items()}
    waiting: dict[str, list[int]] = {}
    for packet in relayer.book.packets.values():
        waiting.setdefault(packet.source, []).append(packet.sequence)
    for name, (end, other) in relayer.ends.items():
        labels = _of_direction(ids, end, other)
        sequences = waiting.get(name, [])
        yield Reading("backlog_size", len(sequences), name, labels)
        yield Reading("backlog_oldest_sequence", min(sequences, default=0), name, labels)
    for client in relayer.clients.values():
        name = f"{client.host}/{client.name}"
        labels = {"src_chain": client.chain_id, "dst_chain": ids[client.host], "client": client.name}
        yield Reading("client_updates_submitted_total", client.updates, name, labels)
        yield Reading("client_updates_skipped_total", client.spared, name, labels)
        if client.newest_ns:
            yield Reading("client_age_s", (relayer.clock.now_ns - client.newest_ns) / 1e9, name, labels)
    for (chain, kind), count in queries.items():
        yield Reading("queries_total", count, f"{chain} {kind}", {"chain": ids[chain], "query_type": kind})
    for chain, count in reconnects.items():
        yield Reading("ws_reconnect_total", count, chain, {"chain": ids[chain]})
    for chain, signer in relayer.signers.items():
        yield Reading("tx_submitted_total", signer.submitted, chain, {"chain": ids[chain]})
        for account in signer.accounts:
            if account.balance is not None:
                labels = {"chain": ids[chain], "account": account.address, "denom": signer.terms.denom}
                yield Reading("wallet_balance", account.balance, f"{chain}/{account.address}", labels)
    yield Reading("parked", relayer.book.counts["parked"])


def page(relayer: Relayer, values: Iterable[Reading]) -> str:
    """Readings and latencies in Prometheus' text format."""
    ids = {name: chain.chain_id for name, chain in relayer.chains.items()}
    lines: list[str] = []
    for reading in sorted(values, key=lambda reading: reading.name):
        lines += _head(reading.name, "counter" if reading.name.endswith("_total") else "gauge", lines)
        lines.append(f"{reading.name}{_written(reading.labels)} {reading.value:.15g}")
    for (name, source, target), found in sorted(relayer.meter.latencies.items(), key=lambda item: item[0][0]):
        lines += _head(name, "histogram", lines)
        labels = _of_direction(ids, target, source)
        total = 0
        for bound, count in zip([*map(str, found.bounds_ms), "+Inf"], found.counts, strict=True):
            total += count
            lines.append(f"{name}_bucket{_written({**labels, 'le': bound})} {total}")
        lines += [f"{name}_sum{_written(labels)} {found.sum_ms:.15g}", f"{name}_count{_written(labels)} {total}"]
    return "\n".join(lines) + "\n"


def _of_direction(ids: Mapping[str, str], end: End, other: End) -> dict[str, str]:
    """Labels of what concerns an end; a client stands for the channel that v2 does not have."""
    channel = end.channel or end.client
    return {"chain": ids[end.chain], "counterparty": ids[other.chain], "channel": channel, "port": end.port}


def _head(name: str, kind: str, before: list[str]) -> list[str]:
    line = f"# TYPE {name} {kind}"
    return [] if line in before else [f"# HELP {name} {_HELP[name]}", line]


def _written(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    pairs = (f'{key}="{value.translate(_ESCAPES)}"' for key, value in labels.items())
    return "{" + ",".join(pairs) + "}"


_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})

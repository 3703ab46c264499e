"""The SUMMARY block of a run, laid out as narwhal's benchmark prints it, for scripts that read that.

What is measured, as there: consensus from the first block made to the last commit, and its latency from a block's
making to the first commit of it anywhere; end to end from the clients' start to the last commit, and its latency from a
client's sending to the committed result (there: to the commit of the batch, at the validator that is first). Bytes are
transactions times their size. Lines of what is not known are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import fmean
from typing import TYPE_CHECKING

from scenarios.lemonshark.latency import places
from scenarios.lemonshark.observed import Observed
from scenarios.lemonshark.parameters import Parameters

if TYPE_CHECKING:
    from emulator.record.load import Run

_RULE = "-" * 41
_RETRY_S, _RETRY_PEERS = 1.0, 3  # defaults of all cores, which the scenario does not change


def block(run: Run, seen: Observed, transactions: int | None) -> list[str]:
    """The lines; none where nothing was committed. `transactions` is how many were."""
    ends = [t_s for node in seen.correct for t_s in seen.commit_s.get(node, {}).values()]
    if not ends or not seen.made or transactions is None:
        return []
    parameters = Parameters.model_validate(run.parameters)
    began_s, end_s = min(seen.made.values()), max(ends)
    lines = [_RULE, " SUMMARY:", _RULE, " + CONFIG:", *_config(parameters, end_s - began_s), "", " + RESULTS:"]
    size = parameters.load.size_bytes
    latency_s = places(seen)["earliest"][1]
    lines += _rates("Consensus", transactions, size, end_s - began_s, latency_s)
    if transactions and end_s > parameters.load.start_s:
        lines += ["", *_rates("End-to-end", transactions, size, end_s - parameters.load.start_s, _answer_s(run))]
    return [*lines, _RULE]


def _config(parameters: Parameters, duration_s: float) -> Iterator[str]:
    consensus, faults = parameters.consensus, parameters.faults
    certified = consensus.protocol != "uncertified"
    pace_s = consensus.header_delay_s if certified else parameters.uncertified.least_round_s
    yield f" Faults: {faults.crash + faults.byzantine} node(s)"
    yield f" Committee size: {parameters.validators} node(s)"
    yield f" Worker(s) per node: {parameters.workers} worker(s)"
    yield " Collocate primary and workers: True"
    yield f" Input rate: {round(parameters.load.rate):,} tx/s"
    yield f" Transaction size: {round(parameters.load.size_bytes):,} B"
    yield f" Execution time: {round(duration_s):,} s"
    yield ""
    yield f" Max header delay: {round(1e3 * pace_s):,} ms"
    yield f" GC depth: {consensus.gc_depth:,} round(s)"
    yield f" Sync retry delay: {round(1e3 * _RETRY_S):,} ms"
    yield f" Sync retry nodes: {_RETRY_PEERS:,} node(s)"
    yield f" batch size: {round(consensus.batch_size_bytes):,} B"
    yield f" Max batch delay: {round(1e3 * consensus.batch_delay_s):,} ms"


def _rates(name: str, transactions: int, size_bytes: float, span_s: float, latency_s: float | None) -> Iterator[str]:
    rate = transactions / span_s if span_s > 0 else 0.0
    yield f" {name} TPS: {round(rate):,} tx/s"
    yield f" {name} BPS: {round(rate * size_bytes):,} B/s"
    if latency_s is not None:
        yield f" {name} latency: {round(1e3 * latency_s):,} ms"


def _answer_s(run: Run) -> float | None:
    """Mean time from sending to the committed result, of the transactions whose latencies were told."""
    import polars

    values = run.samples.filter(polars.col("name") == "commit_latency_s")["value"].to_list()
    return fmean(values) if values else None

"""Figures of a run of DAG-BFT validators: throughput, latencies with and without early finality, agreement, cost.

Invariant: `early_wrong` and `logs_agree` are there only where the validators told what they are computed from, so that
a run in which nothing was checked cannot pass.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from scenarios.lemonshark import narwhal
from scenarios.lemonshark.floor import delays_of, round_floor_s
from scenarios.lemonshark.latency import at_author, early_share, leader_commits_s, percentile, places, round_s
from scenarios.lemonshark.observed import Observed, observe

if TYPE_CHECKING:
    import polars

    from emulator.record.load import Run
    from emulator.report.drawing import Drawing

CHECKS = ("early_ok", "early_wrong", "early_unmatched", "places_wrong")
PHASES = {
    "certificate_s": "certificate_ms",  # of own blocks, since their headers were made
    "block_early_s": "block_early_ms",
    "block_commit_s": "block_commit_ms",
}
WAITING = ("parked_headers", "parked_blocks", "waiting_batches", "unplayed_events", "unsent_bytes")
CLIENT = "client"  # name of the program
CONTRADICTED = "proofs contradicted"  # transactions with proofs of two results, as clients count them
SAMPLES = {
    "commit_latency_s": "tx_commit_ms",
    "early_latency_s": "tx_early_ms",
    "spec_latency_s": "tx_spec_ms",
    "proof_early_s": "proof_early_ms",  # from the sending to a quorum's signatures on the early result
    "proof_correct_s": "proof_correct_ms",  # to those of f + 1 validators on the final one
    "proof_final_s": "proof_final_ms",  # to a quorum's
    "read_s": "read_ms",
    "link_s": "link_ms",  # of chains: the time of a link, from the chain's first send to its last confirmation
}


def summarise(run: Run) -> dict[str, Any]:
    """Figures for `summary` of the verdict; those that the run did not come to are left out."""
    seen = observe(run)
    summary: dict[str, Any] = {}
    means = places(seen)
    summary |= _throughput(seen)
    if "author" in means:
        answer_s, commit_s = means["author"]
        summary |= {
            "commit_ms": _ms(commit_s),
            "early_ms": _ms(answer_s),
            "early_over_commit": round(answer_s / commit_s, 4),
            "early_share": round(early_share(seen) or 0.0, 4),
        }
    if leaders_s := leader_commits_s(seen):
        summary["leader_commit_ms"] = {f"p{share}": _ms(percentile(leaders_s, share)) for share in (50, 95)}
    for check in CHECKS:
        count = seen.total(check)
        if count is not None:
            summary[check] = int(count)
    summary["logs_agree"] = seen.agree()
    length_s = round_s(seen)
    if length_s:
        summary |= {"rounds_per_s": round(1 / length_s, 3), "round_ms": _ms(length_s)} | _floor(run, seen)
    log = seen.log()
    kinds = Counter(entry.kind for entry in log.values())
    summary |= {
        "commits": len(log),
        "commits_by_kind": {kind: kinds.get(kind, 0) for kind in ("steady", "fallback")},
        "blocks": len({block for entry in log.values() for block in entry.blocks}),
        "commit_ms_at": {place: _ms(commit_s) for place, (_, commit_s) in means.items()},
        "early_ms_at": {place: _ms(answer_s) for place, (answer_s, _) in means.items()},
    }
    cpu_s = seen.total("cpu_s")
    if cpu_s is not None:
        summary["cpu_cores"] = round(cpu_s / float(run.events["t_s"].max() or 1.0), 3)  # type: ignore[arg-type]
    lines = narwhal.block(run, seen, transactions_of(seen))
    summary |= _cost(seen) | _spreads(run, PHASES) | _waiting(run) | _clients(run, seen)
    return summary | ({"narwhal": lines} if lines else {})


def _ms(seconds: float) -> float:
    return round(seconds * 1e3, 2)


def _floor(run: Run, seen: Observed) -> dict[str, Any]:
    """How long a round of the correct validators would be if the links were all that takes time."""
    wan, n = run.document.get("wan"), len(seen.validators)
    if not wan or len(seen.correct) < n - seen.faults:
        return {}
    absent = frozenset(range(n)) - frozenset(seen.correct)
    delay_s = delays_of(wan, str(run.document.get("directory", ".")))
    return {"round_floor_ms": _ms(round_floor_s(delay_s, n - seen.faults, absent))}


def _throughput(seen: Observed) -> dict[str, Any]:
    """Transactions a second at the validator with the longest log, between its first commit with any and its last."""
    writer, transactions = seen.writer(), transactions_of(seen)
    if writer is None or transactions is None:
        return {}
    full = sorted((seen.commit_s[writer][index], count) for index, count in seen.transactions[writer].items() if count)
    span_s = full[-1][0] - full[0][0] if full else 0.0
    rate = (transactions - full[0][1]) / span_s if span_s > 0 else 0.0
    return {"tx_per_s": round(rate, 2), "transactions": transactions}


def transactions_of(seen: Observed) -> int | None:
    """How many transactions the validator with the longest log has executed; None where nobody told."""
    told = seen.transactions.get(seen.writer() or 0)
    return sum(told.values()) if told else None


def _cost(seen: Observed) -> dict[str, Any]:
    """What a committed transaction took of all validators together."""
    transactions = transactions_of(seen)
    cost: dict[str, Any] = {}
    for name, figure in (
        ("sent_bytes", "bytes_per_tx"),
        ("door_bytes", "door_bytes_per_tx"),
        ("signatures", "signatures_per_tx"),
        ("cpu_s", "cpu_ms_per_tx"),
    ):
        total = seen.total(name)
        if total is not None and transactions:
            cost[figure] = round(total / transactions * (1e3 if name == "cpu_s" else 1), 3)
    return cost


def _spreads(run: Run, names: dict[str, str]) -> dict[str, Any]:
    """Mean and quantiles of samples, in milliseconds; `names` are figures by sample."""
    import polars

    figures: dict[str, Any] = {}
    for name, figure in names.items():
        values = run.samples.filter(polars.col("name") == name)["value"]
        if not values.is_empty():
            figures[figure] = {"mean": _ms(float(values.mean() or 0.0))} | {  # type: ignore[arg-type]
                f"p{share}": _ms(float(values.quantile(share / 100, "linear") or 0.0)) for share in (50, 95, 99)
            }
    return figures


def _waiting(run: Run) -> dict[str, Any]:
    """What waited in a validator: the mean over time and validators, and the most."""
    import polars

    figures: dict[str, Any] = {}
    for name in WAITING:
        values = run.samples.filter(polars.col("name") == name)["value"]
        if not values.is_empty():
            mean, most = float(values.mean() or 0.0), float(values.max() or 0.0)  # type: ignore[arg-type]
            figures[name] = {"mean": round(mean, 2), "max": round(most)}
    return {"waiting": figures} if figures else {}


def _clients(run: Run, seen: Observed) -> dict[str, Any]:
    """What clients saw, from sending to the answer: latencies, and what they counted."""
    counts: Counter[str] = Counter()
    for _, program, tally in seen.tallies:
        if program == CLIENT:
            counts.update(tally["counts"])
    told: dict[str, Any] = {"clients": dict(sorted(counts.items()))} if counts else {}
    if CONTRADICTED in counts:
        told["proofs_contradicted"] = counts[CONTRADICTED]
    return _spreads(run, SAMPLES) | told


def figures(run: Run) -> list[Drawing]:
    """Early against commit latency, a window of the DAG, phases of blocks and throughput over time."""
    from scenarios.lemonshark import drawings

    seen = observe(run)
    made: list[Drawing] = []
    if any(True for _ in at_author(seen)):
        made.append(drawings.shares(seen))
    if seen.made and seen.correct:
        asked = run.parameters.get("dag", {})
        first, rounds = drawings.window_of(seen, asked.get("first", 0), asked.get("rounds", 12))
        made.append(drawings.window(seen, first, rounds, seen.correct[0]))
    if (phases := drawings.phases(run.samples)) is not None:
        made.append(phases)
    if seen.log():
        made.append(drawings.throughput(seen))
    return made


def compare_figures(runs: tuple[Run, Run]) -> list[Drawing]:
    """Latency distributions of two runs on one pair of axes."""
    from scenarios.lemonshark.drawings import two_shares

    one, other = ((name, observe(run)) for name, run in zip("ab", runs, strict=True))
    if not all(any(True for _ in at_author(seen)) for _, seen in (one, other)):
        return []
    return [two_shares(one, other)]


def sweep_figures(table: polars.DataFrame) -> list[Drawing]:
    """Latency against the number of validators, and of crashes: those that were swept."""
    from scenarios.lemonshark.drawings import swept

    if not {"commit_ms", "early_ms"} <= set(table.columns):
        return []
    keys = {"validators": "validators", "faults.crash": "crashed validators"}
    return [swept(table, key, label) for key, label in keys.items() if key in table.columns]

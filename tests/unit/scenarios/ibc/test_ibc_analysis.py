"""Figures of runs of `ibc`, from records made by hand."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from emulator.model.tables import RecipeOptions
from emulator.record.verdict.judge import evaluate
from scenarios.ibc.analysis import summarise
from scenarios.ibc.recipe import Parameters, compose


def run(times_s: dict[str, list[float]], **counts: int) -> Any:
    block = {"asked_s": 1.0, "txs": 0, "failed": 0, "panics": 0, "gas": 0, **counts}
    rows = [
        (t_s, node, "block", json.dumps({"chain": node[0], "height": height, **block}))
        for node, times in times_s.items() for height, t_s in enumerate(times, 1)
    ]  # fmt: skip
    schema = {"t_s": pl.Float64, "node": pl.String, "kind": pl.String, "data": pl.String}
    samples = [("block_work_s", 0.004), ("block_work_s", 0.006), ("block_work_s", 0.005)]
    return SimpleNamespace(
        events=pl.DataFrame(rows, schema=schema, orient="row"),
        samples=pl.DataFrame(samples, schema={"name": pl.String, "value": pl.Float64}, orient="row"),
    )


def test_blocks_and_transactions_are_counted() -> None:
    summary = summarise(run({"a-0": [-0.5, 1, 2, 3], "b-0": [-0.5, 1, 2]}, txs=2, failed=1, panics=1))
    assert summary == {
        "chains": 2, "blocks": 7, "txs": 14, "failed_txs": 7, "panics": 7, "late_blocks": 0, "late_blocks_share": 0.0,
        "block_work_ms": 5.0,
    }  # fmt: skip


def test_a_block_that_several_validators_tell_is_one() -> None:
    summary = summarise(run({"a-0": [0, 1, 2, 3.9], "a-1": [0.1, 1.1, 2.1, 3.2]}, txs=2))
    assert (summary["chains"], summary["blocks"], summary["txs"], summary["late_blocks"]) == (1, 4, 8, 0)


def test_a_block_is_late_that_comes_after_one_interval_and_a_half() -> None:
    assert summarise(run({"a-0": [0, 1, 2, 3, 4.6, 5.6]}))["late_blocks"] == 1
    assert summarise(run({"a-0": [0, 1, 2, 3, 4.4, 5.4]}))["late_blocks"] == 0


def test_blocks_that_are_all_slow_are_all_late() -> None:
    """Half of them would not be, by the interval that they kept."""
    summary = summarise(run({"a-0": [0, 2, 4, 6, 8]}))
    assert (summary["late_blocks"], summary["late_blocks_share"]) == (3, 1.0)


def test_a_run_without_blocks_has_figures() -> None:
    assert summarise(run({}))["blocks"] == 0


AUDIT = {
    "sent": 10, "received": 8, "acknowledged": 8, "timed_out": 1, "failed": 0, "stuck": 1, "lost": 0, "duplicated": 0,
    "wrongly_refunded": 0, "sending_s": 2.0, "busy_s": 4.0, "unread_blocks": 0, "escrows": 2, "escrow_errors": 0,
    "unread_escrows": 0,
}  # fmt: skip


def audited(**changes: object) -> dict[str, Any]:
    made = run({"a-0": [0, 1, 2]})
    row = pl.DataFrame([(3.0, "a-0", "audit", json.dumps(AUDIT | changes))], schema=made.events.schema, orient="row")
    made.events = pl.concat([made.events, row])
    made.samples = pl.DataFrame({"name": ["latency_s"] * 3, "value": [1.0, 2.0, 3.0]})
    return summarise(made)


@pytest.mark.parametrize(
    "harm",
    [
        {"failed": 1}, {"stuck": 1}, {"lost": 1}, {"duplicated": 1}, {"wrongly_refunded": 1}, {"acknowledged": 0},
        {"unread_blocks": 1}, {"escrow_errors": 1}, {"unread_escrows": 1},
    ],
)  # fmt: skip
def test_each_harm_fails_the_run(harm: dict[str, int]) -> None:
    expected = compose(Parameters.model_validate({}), RecipeOptions(1, 60.0, "."))["expect"]
    failed = [each for each in evaluate(expected, {"summary": audited(stuck=0)}) if not each.holds]
    assert failed == []
    (failure,) = [each for each in evaluate(expected, {"summary": audited(**{"stuck": 0} | harm)}) if not each.holds]
    assert failure.figure == f"summary.{'escrow_ok' if 'escrow' in str(harm) else next(iter(harm))}"


def test_packets_are_those_of_the_audit() -> None:
    summary = audited()
    assert (summary["packets_per_s"], summary["offered_per_s"]) == (2.0, 5.0)
    assert (summary["stuck"], summary["timed_out"], summary["latency_p50_s"]) == (1, 1, 2.0)


def test_escrow_is_right_only_where_some_was_compared_and_none_was_wrong() -> None:
    assert audited()["escrow_ok"]
    assert not audited(escrow_errors=1)["escrow_ok"]
    assert not audited(escrows=0)["escrow_ok"]
    assert not audited(unread_escrows=1)["escrow_ok"]

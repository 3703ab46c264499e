"""The table of a sweep: rows, columns, types, means, and reading it back."""

import json
import math

import polars as pl
import pytest

from emulator.model.errors import DataError, EmulationError
from emulator.record.sweep import Sweep, load_sweep, mean_and_error, scalars


def about(seed, exit_code=0, **more):
    return {
        "seed": seed, "run": f"run-{seed}", "verdict": "pass" if exit_code == 0 else "fail", "exit_code": exit_code,
        "wall_s": 1.5, "attempts": 1, "error": "", **more,
    }  # fmt: skip


@pytest.fixture
def sweep(tmp_path):
    made = Sweep.create(tmp_path, "plurality", {"opinions": [2, 4], "protocol": ["dejavu"]}, 2)
    for opinions in (2, 4):
        for seed in (1, 2):
            chosen = {"opinions": opinions, "protocol": "dejavu"}
            summary = {"win": seed == 1, "rounds": opinions + seed, "opinions": 9, "rtt_ms": {"p50": 1.5}, "flows": [1]}
            made.add(chosen, about(seed), summary)
    return made


def test_scalars_have_dotted_paths_and_lists_are_left_out():
    assert scalars({"a": 1, "b": {"c": None, "d": {"e": "x"}}, "f": [1]}) == {"a": 1, "b.c": None, "b.d.e": "x"}


def test_table_has_a_row_a_run_and_a_column_a_figure(sweep):
    table = sweep.table()
    assert table.columns == [
        "opinions", "protocol", "seed", "run", "verdict", "exit_code", "wall_s", "attempts", "error",
        "win", "rounds", "summary.opinions", "rtt_ms.p50",
    ]  # fmt: skip
    assert table["opinions"].to_list() == [2, 2, 4, 4]
    assert table["win"].dtype == pl.Boolean
    assert table["rounds"].dtype == pl.Int64
    assert table["rtt_ms.p50"].dtype == pl.Float64


def test_figures_that_a_failed_run_lacks_are_null(sweep):
    sweep.add({"opinions": 8, "protocol": "dejavu"}, about(1, 70, error="the relay ended"), {})
    assert sweep.table()["rounds"].to_list() == [3, 4, 5, 6, None]


@pytest.mark.parametrize(
    ("values", "kind", "held"),
    [
        ([1, 2.5], pl.Float64, [1.0, 2.5]),
        ([1, "x"], pl.String, ["1", "x"]),
        ([True, 1], pl.String, ["True", "1"]),
        ([2**70, 1], pl.Float64, [2.0**70, 1.0]),
        ([None, None], pl.Int64, [None, None]),
        ([math.nan, 1.0], pl.Float64, [None, 1.0]),
    ],
)
def test_types_of_columns(values, kind, held, tmp_path):
    sweep = Sweep.create(tmp_path, "x", {}, 1)
    for value in values:
        sweep.add({}, about(1), {"figure": value})
    assert sweep.table()["figure"].dtype == kind
    assert sweep.table()["figure"].to_list() == held


def test_files_hold_the_same_table(sweep):
    sweep.save()
    sweep.save_tables()
    read = load_sweep(sweep.path)
    assert read == sweep
    assert pl.read_parquet(sweep.path / "sweep.parquet").equals(sweep.table())
    assert pl.read_csv(sweep.path / "sweep.csv")["rounds"].to_list() == [3, 4, 5, 6]
    assert json.loads((sweep.path / "sweep.json").read_text())["columns"] == sweep.columns()


def test_an_empty_sweep_is_a_valid_one(tmp_path):
    sweep = Sweep.create(tmp_path, "x", {"a": [1]}, 1)
    sweep.save()
    sweep.save_tables()
    assert load_sweep(sweep.path).table().height == 0
    assert sweep.combinations() == []


def test_combinations_in_the_order_of_play(sweep):
    found = sweep.combinations()
    assert [chosen["opinions"] for chosen, _ in found] == [2, 4]
    assert [[row["seed"] for row in rows] for _, rows in found] == [[1, 2], [1, 2]]


def test_means_leave_out_what_cannot_be_trusted():
    rows = [
        about(seed, code) | {"rounds": rounds} for seed, code, rounds in ((1, 0, 4), (2, 1, 6), (3, 75, 90), (4, 70, 1))
    ]
    mean, error = mean_and_error(rows, "rounds")
    assert mean == 5
    assert error == pytest.approx(1.0)
    assert mean_and_error(rows[:1], "rounds") == (4, None)
    assert mean_and_error(rows, "nothing") is None
    assert mean_and_error([about(1) | {"win": True}, about(2) | {"win": False}], "win")[0] == 0.5


def test_what_is_no_sweep(tmp_path):
    with pytest.raises(DataError, match=r"sweep\.json"):
        load_sweep(tmp_path)
    for text in ("{", "[]", '{"schema_version": 2}', '{"schema_version": 1}'):
        (tmp_path / "sweep.json").write_text(text)
        with pytest.raises(DataError, match=r"sweep\.json"):
            load_sweep(tmp_path)


def test_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EmulationError, match="sweep folder"):
        Sweep.create(tmp_path / "file", "x", {}, 1)

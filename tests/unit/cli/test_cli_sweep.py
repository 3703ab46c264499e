"""`skyloom sweep` with runs that are only pretended: which ones, in which order, and what of bad ends and Ctrl-C."""

import json
import os
import signal
import sys

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from pretended_runs import SCENARIO, Pretended

from emulator.cli import play as playing
from emulator.cli.sweep import Keep, sweep
from emulator.cli.sweep_values import combinations, split, values_by_key
from emulator.model.errors import DataError, EmulationError, PlatformError, ScenarioError, UsageError
from emulator.record.sweep import load_sweep


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(SCENARIO)
    return str(path)


@pytest.fixture
def pretended(monkeypatch):
    made = Pretended()
    monkeypatch.setattr(playing, "play", made)
    monkeypatch.setattr(sys, "argv", ["skyloom", "sweep", "small.toml"])
    return made


def run_sweep(source, tmp_path, **options):
    """Exit code of a sweep, and its folder read back (None where there is none)."""
    settings = {"over": None, "seeds": 1, "overrides": None, "duration": None, "keep": Keep.all, "json": False}
    with pytest.raises(typer.Exit) as ended:
        sweep(source, runs=tmp_path / "runs", **(settings | options))
    (folder,) = (tmp_path / "runs" / "small").glob("sweep-*")
    return ended.value.exit_code, load_sweep(folder)


@pytest.mark.parametrize("cluster", [None, "pods:alpha,beta"])
def test_every_run_is_spread_alike(small, tmp_path, pretended, cluster):
    assert run_sweep(small, tmp_path, seeds=2, hosts=2, cluster=cluster)[0] == 0
    assert pretended.spread == [(2, cluster)] * 2


def test_every_combination_and_seed_in_order(small, tmp_path, pretended, capsys):
    code, table = run_sweep(small, tmp_path, over=["link.0.delay=10 ms,20 ms"], seeds=2)
    assert code == 0
    assert pretended.played == [(0.01, 5), (0.01, 6), (0.02, 5), (0.02, 6)]
    assert table.complete
    assert [row["link.0.delay"] for row in table.rows] == ["10 ms", "10 ms", "20 ms", "20 ms"]
    assert [row["rounds"] for row in table.rows] == [6.0, 7.0, 7.0, 8.0]
    out, err = capsys.readouterr()
    assert out.splitlines()[0].split() == ["link.0.delay", "runs", "pass", "rounds", "win"]
    assert "6.50 ± 0.5" in out
    assert "[4/4] link.0.delay=20 ms seed 6  pass" in err
    left = {path.name for path in table.path.iterdir()}
    assert left == {"sweep.json", "sweep.csv", "sweep.parquet", "report.html", "figures"}
    assert [path.name for path in (table.path / "figures").iterdir()] == ["rounds-over-link-0-delay.svg"]


def test_without_over_the_seeds_alone(small, tmp_path, pretended):
    _, table = run_sweep(small, tmp_path, seeds=3, overrides=["seed=11"], duration="2s")
    assert [row["seed"] for row in table.rows] == [11, 12, 13]
    assert table.over == {}


def test_swept_seeds(small, tmp_path, pretended):
    _, table = run_sweep(small, tmp_path, over=["seed=3,1"])
    assert pretended.played == [(0.01, 3), (0.01, 1)]
    assert table.table()["seed"].to_list() == [3, 1]


def test_json_is_the_document(small, tmp_path, pretended, capsys):
    _, table = run_sweep(small, tmp_path, json=True)
    assert json.loads(capsys.readouterr().out) == table.document()


def test_failing_runs_are_rows(small, tmp_path, pretended, capsys):
    pretended.ends = {0: 1, 1: 70, 2: EmulationError("the supervisor was killed")}
    code, table = run_sweep(small, tmp_path, seeds=4)
    assert code == 70
    assert [row["exit_code"] for row in table.rows] == [1, 70, 70, 0]
    assert table.rows[2]["error"] == "the supervisor was killed"
    out, err = capsys.readouterr()
    assert "not counted" in out
    assert "fail (exit 1)" in err


def test_failed_expectations_alone_end_with_1(small, tmp_path, pretended):
    pretended.ends = {1: 1}
    assert run_sweep(small, tmp_path, seeds=2)[0] == 1


def test_late_runs_are_played_again_twice_at_most(small, tmp_path, pretended):
    pretended.ends = {0: 75, 2: 75, 3: 75, 4: 75}
    code, table = run_sweep(small, tmp_path, seeds=2)
    assert [seed for _, seed in pretended.played] == [5, 5, 6, 6, 6]
    assert [(row["attempts"], row["exit_code"]) for row in table.rows] == [(2, 0), (3, 75)]
    assert code == 75


def test_a_row_tells_of_the_last_attempt_alone(small, tmp_path, pretended):
    pretended.ends = {0: 75, 1: DataError("the disk is full")}
    _, table = run_sweep(small, tmp_path)
    (row,) = table.rows
    assert (row["attempts"], row["run"], row["error"]) == (2, "", "the disk is full")
    assert "rounds" not in row


def test_keep_failed_removes_what_passed(small, tmp_path, pretended):
    pretended.ends = {1: 1}
    _, table = run_sweep(small, tmp_path, seeds=3, keep=Keep.failed)
    left = [path.name for path in (tmp_path / "runs" / "small").iterdir() if not path.name.startswith("sweep")]
    assert left == [table.rows[1]["run"]]
    assert len(table.rows) == 3


def test_an_interrupted_run_ends_the_sweep_with_what_there_is(small, tmp_path, pretended):
    pretended.ends = {1: 130}
    code, table = run_sweep(small, tmp_path, seeds=3)
    assert code == 130
    assert len(pretended.played) == 2
    assert [row["seed"] for row in table.rows] == [5]
    assert not table.complete
    assert (table.path / "sweep.parquet").exists()


def test_interrupt_between_runs_is_noted_and_handlers_come_back(small, tmp_path, pretended):
    before = signal.getsignal(signal.SIGINT)
    pretended.before_end = lambda number: os.kill(os.getpid(), signal.SIGINT)
    code, table = run_sweep(small, tmp_path, seeds=3)
    assert (code, len(table.rows)) == (130, 1)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_interrupt_leaves_a_valid_table(small, tmp_path, pretended):
    def twice(number):
        for _ in range(2 * number):
            os.kill(os.getpid(), signal.SIGINT)

    pretended.before_end = twice
    with pytest.raises(KeyboardInterrupt):
        sweep(small, None, 3, None, None, Keep.all, tmp_path / "runs", False)
    (folder,) = (tmp_path / "runs" / "small").glob("sweep-*")
    assert [row["seed"] for row in load_sweep(folder).rows] == [5]


def test_a_machine_that_cannot_run_leaves_nothing(small, tmp_path, pretended):
    pretended.ends = {0: PlatformError("no /dev/net/tun")}
    with pytest.raises(PlatformError):
        sweep(small, None, 3, None, None, Keep.all, tmp_path / "runs", False)
    assert list((tmp_path / "runs" / "small").iterdir()) == []


def test_every_bad_value_is_said_before_anything_runs(small, tmp_path, pretended):
    over = ["link.0.delay=10 ms,20 parsecs,1 furlong", "nonsense=1,2"]
    with pytest.raises(ScenarioError) as error:
        sweep(small, over, 2, None, None, Keep.all, tmp_path / "runs", False)
    for words in ("unknown unit 'parsecs'", "unknown unit 'furlong'", "unknown key 'nonsense'"):
        assert str(error.value).count(words) == 1
    assert pretended.played == []
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("over", "seeds", "said"),
    [
        (["opinions"], 1, "no values"),
        (["=1"], 1, "no values"),
        (["opinions="], 1, "an empty value"),
        (["opinions=1,,2"], 1, "an empty value"),
        (["opinions=1,1"], 1, "stands twice"),
        (["opinions=1", "opinions=2"], 1, "given twice"),
        (["graph=[1,2"], 1, r"\] is missing"),
        (["graph='a,b"], 1, "' is missing"),
        (["seed=1,2"], 2, "--over seed with --seeds"),
        (["verdict=1,2"], 1, "a column verdict of its own"),
    ],
)
def test_bad_lists_of_values(over, seeds, said):
    with pytest.raises(UsageError, match=said):
        combinations(over, seeds)


def test_values_of_a_list():
    found = combinations(["graph='regular:64,4',cycle:6", "k=[1,2],3,true,0.5"], 1)
    assert [each.values["graph"] for each in found[::4]] == ["regular:64,4", "cycle:6"]
    assert [each.values["k"] for each in found[:4]] == ["[1,2]", 3, True, 0.5]
    assert found[0].overrides == ["graph='regular:64,4'", "k=[1,2]"]


def test_values_are_kept_apart_by_type():
    grid = combinations(["a=1,true,nan", "b=x,y"], 1)
    assert values_by_key(grid) == {"a": [1, True, "nan"], "b": ["x", "y"]}


PART = st.text(st.characters(exclude_characters="\"'()[]{},\\", codec="utf-8"), max_size=8)
QUOTED = st.builds(json.dumps, st.text(st.characters(codec="utf-8"), max_size=8))
NESTED = st.recursive(
    PART | QUOTED, lambda inner: st.lists(inner, max_size=3).map(lambda parts: f"[{','.join(parts)}]")
)


@given(st.lists(NESTED, min_size=1, max_size=5))
def test_commas_inside_brackets_and_quotes_split_nothing(parts):
    assert list(split(",".join(parts))) == parts

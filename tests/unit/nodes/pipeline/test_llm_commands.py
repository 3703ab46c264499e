"""`skyloom llm calibrate|plan|evaluate` on the synthetic model, from the command line down."""

import json
import re
import tomllib
from importlib.metadata import EntryPoint
from math import inf
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer
from pipeline_model import small

from emulator.cli import llm
from emulator.model.errors import DataError, PlatformError, UsageError
from nodes.pipeline import calibrate, command, report
from nodes.pipeline.codecs.evaluation import Change, Interval
from nodes.pipeline.judge import Verdict
from nodes.pipeline.model.named import SYNTHETIC
from nodes.pipeline.planner import search

SHIPPED = tomllib.loads((Path(__file__).parents[4] / "pyproject.toml").read_text())["project"]["entry-points"]
MODEL = ("--model", SYNTHETIC)
ASKED = (*MODEL, "--satellites", "4", "--budget", "0.02", "--cpu", "0.5 %", "--prompt-tokens", "200")


def said_by(capsys, name: str, *words: str) -> str:
    """What `skyloom llm NAME …` prints."""
    with pytest.raises(typer.Exit) as ended:
        llm.llm(name, list(words))
    assert ended.value.exit_code == 0
    return capsys.readouterr().out


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A cache folder with the synthetic model's calibration, and the plug-ins of this tree."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        points = {key: EntryPoint(key, value, llm.GROUP) for key, value in SHIPPED[llm.GROUP].items()}
        patch.setattr(llm, "plugins", lambda: points)
        command.calibrate(SYNTHETIC, windows=2, unit=1, chunk_tokens=32, limit="5 min")
        yield folder / "skyloom"


@pytest.fixture
def skyloom(cache, capsys):
    return lambda *words: said_by(capsys, *words)


def test_a_calibration_tells_what_it_measured_and_where_it_is(skyloom, cache):
    said = skyloom("calibrate", *MODEL, "--unit", "1", "--windows", "2")
    assert "4 blocks, 3 cuts measured, 2 windows of text" in said
    for name in calibrate.CODECS:
        assert re.search(rf"^{re.escape(name)} ", said, re.MULTILINE)
    assert sorted(path.suffix for path in cache.iterdir()) == [".cuts", ".json"]


def test_a_plan_says_its_delay_the_other_policies_and_what_constraints_cost(skyloom):
    said = skyloom("plan", *ASKED, "--stages", "3", "--answer-tokens", "5")
    for words in ("first token", "answer", "memory-proportional", "error budget", "number of stages"):
        assert words in said
    document = json.loads(skyloom("plan", *ASKED, "--stages", "3", "--answer-tokens", "5", "--json"))
    assert len(document["plan"]["stages"]) == 3
    assert document["predicted"]["loss_nats"] <= document["budget_nats"] == 0.02
    assert document["predicted"]["total_s"] <= min(each["total_s"] for each in document["others"].values()) + 1e-9
    assert {each["constraint"] for each in document["constraints"]} == {"error budget", "number of stages"}
    assert all(each["without_s"] <= document["predicted"]["total_s"] + 1e-9 for each in document["constraints"])


@pytest.mark.parametrize("policy", ["fp16", "int8", "sequential", "edgeshard", "memory-proportional"])
def test_each_policy_can_be_asked_for(skyloom, policy):
    document = json.loads(skyloom("plan", *ASKED, "--policy", policy, "--json"))
    assert document["policy"] == policy
    codecs = {each["codec"] for each in document["plan"]["crossings"]}
    assert codecs <= {"int8" if policy == "int8" else "fp16"}
    assert "joint" in document["others"]


def test_satellites_may_differ(skyloom):
    document = json.loads(skyloom("plan", *ASKED, "--memory", "1 MB,1 MB,0 B,1 MB", "--stages", "3", "--json"))
    assert 2 not in [each["satellite"] for each in document["plan"]["stages"]]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--policy", "int8", "--stages", "3", "--budget", "0.000001"), r"in the way: error budget \(\d+\.\d+ s"),
        (("--memory", "50 kB"), "in the way: memory"),
        (("--stages", "5"), "in the way: number of stages"),
        (("--memory", "50 kB", "--policy", "int8", "--stages", "4", "--budget", "0"), "are in the way together"),
        (("--memory", "50 kB", "--policy", "memory-proportional"), "a share of blocks that is too large"),
    ],
)
def test_where_there_is_no_plan_the_constraint_in_the_way_is_named(skyloom, words, said):
    with pytest.raises(DataError, match=said):
        skyloom("plan", *ASKED, *words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--rate", "1"), "--rate: a number without a unit"),
        (("--rate", "0 bit/s"), "--rate '0 bit/s'; expected 1 bit/s to 1000 Tbit/s"),
        (("--delay", "unlimited"), "--delay"),
        (("--cpu", "150 %"), "expected 0.01 % to 100 % of one core"),
        (("--cpu", "1 %,2 %"), "--cpu has 2 values; expected one, or 4"),
        (("--budget", "inf"), "--budget inf"),
        (("--policy", "best"), "--policy 'best'; expected one of joint"),
        (("--model", "gpt"), "model 'gpt'; expected smollm2 or synthetic"),
        (("--prompt-tokens", "2000"), "the model's context"),
    ],
)
def test_wrong_words_are_usage_errors(skyloom, words, said):
    with pytest.raises(UsageError, match=re.escape(said)):
        skyloom("plan", *ASKED, *words)


def test_a_plan_is_evaluated_as_it_was_printed(skyloom, tmp_path):
    path = tmp_path / "plan.json"
    path.write_text(skyloom("plan", *ASKED, "--stages", "3", "--answer-tokens", "5", "--json"))
    asked = json.loads(path.read_text())["plan"]["crossings"]
    document = json.loads(skyloom("evaluate", *MODEL, "--plan", str(path), "--windows", "2", "--json"))
    assert {each["text"] for each in document["texts"]} == {"docs", "fortunes"}
    prompts = [each for each in document["texts"] if each["of"] == "prompt"]
    assert prompts[0]["codecs"] == [each["codec"] for each in asked]
    assert all(each["predictions"] == 2 * 255 and each["accuracy_pp"]["half"] >= 0 for each in prompts)
    said = skyloom("evaluate", *MODEL, "--plan", str(path), "--windows", "2")
    assert "fortunes" in said
    assert "±" in said


def test_no_plan_and_no_calibration_are_errors_with_words(skyloom, tmp_path, monkeypatch):
    (tmp_path / "plan.json").write_text("[]")
    with pytest.raises(DataError, match=r"plan\.json: no `plan`"):
        skyloom("evaluate", *MODEL, "--plan", str(tmp_path / "plan.json"))
    with pytest.raises(DataError, match="none: No such file"):
        skyloom("evaluate", *MODEL, "--plan", str(tmp_path / "none"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(DataError, match="skyloom llm calibrate"):
        skyloom("plan", *ASKED)


class Clock:
    """Each look at it is some seconds later."""

    def __init__(self, step_s: float) -> None:
        self.now_s = 0.0
        self.step_s = step_s

    def monotonic(self) -> float:
        self.now_s += self.step_s
        return self.now_s

    def process_time(self) -> float:
        return 0.0


def calibrated_within(monkeypatch, limit_s: float):
    told: list[str] = []
    clock = Clock(1)
    monkeypatch.setattr(calibrate, "time", SimpleNamespace(monotonic=clock.monotonic, process_time=clock.process_time))
    found, _ = calibrate.calibrate(
        small(), "ab" * 32, windows_asked=6, unit=2, chunk_tokens=32, limit_s=limit_s, tell=told.append
    )
    return found, told


def test_a_time_limit_leaves_out_windows_and_says_so(monkeypatch):
    found, told = calibrated_within(monkeypatch, 30)
    assert 2 <= found.windows < 6
    assert told[-1] == f"losses of codecs: no time for more than {found.windows} of 6 windows"


def test_a_time_limit_without_room_for_a_calibration_is_an_error(monkeypatch):
    with pytest.raises(PlatformError, match=r"statistics of activations: \d+ of 24 windows when 10 s"):
        calibrated_within(monkeypatch, 10)


def test_sixty_three_equal_satellites_are_planned_with_the_default_request(skyloom):
    document = json.loads(skyloom("plan", *MODEL, "--satellites", "63", "--budget", "0.02", "--cpu", "0.5 %", "--json"))
    assert document["chunks"] == 8
    assert [each["satellite"] for each in document["plan"]["stages"]] == list(range(len(document["plan"]["stages"])))


def test_a_search_that_grows_too_large_is_an_error(skyloom, monkeypatch):
    monkeypatch.setattr(search, "MOST_LABELS", 3)
    with pytest.raises(DataError, match="4 satellites and 3 cuts, whose plans are too many"):
        skyloom("plan", *ASKED)


def no_constant(words: str):
    raise AssertionError(f"{words} in JSON")


def verdict_without_end() -> Verdict:
    none = Interval(0.0, 0.0)
    return Verdict("docs", "prompt", ("klt3",), 17.0, 0.4, Change(510, none, none, inf, 0.9), 0.0)


def test_json_has_null_where_a_number_has_no_end(skyloom, capsys):
    document = json.loads(skyloom("plan", *ASKED, "--rate", "1 bit/s", "--json"), parse_constant=no_constant)
    assert [each["memory_bytes"] for each in document["satellites"]] == [None] * 4
    found = report.judged([verdict_without_end()])
    command._print_json(found)
    assert json.loads(capsys.readouterr().out, parse_constant=no_constant)["texts"][0]["perplexity_percent"] is None


def test_a_cache_that_cannot_be_written_is_found_before_anything_is_measured(skyloom, tmp_path, monkeypatch):
    (tmp_path / "skyloom").write_text("a file where the folder is to be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(command, "calibrated", lambda *_, **__: pytest.fail("measured"))
    with pytest.raises(PlatformError, match=r"skyloom: File exists; expected a folder that can be written"):
        skyloom("calibrate", *MODEL)


def test_a_model_without_a_cut_has_nothing_to_calibrate(skyloom):
    with pytest.raises(UsageError, match="a unit below 4, the blocks of the model"):
        skyloom("calibrate", *MODEL, "--unit", "4")

"""The pytest plug-in in sessions of its own, with a command that only pretends to run."""

import sys
from pathlib import Path

import pytest

import emulator.record.sweep  # sessions in this process forget modules that they import, but numpy loads only once
import emulator.report.summary  # noqa: F401
from emulator.cli import pytest_plugin

pytest_plugins = ["pytester"]

COMMAND = """
import json, sys
from pathlib import Path

words = sys.argv[1:]
options = words[1:]
given = dict(item.split("=", 1) for flag, item in zip(options, options[1:]) if flag == "--set")
code = int(given.get("code", 0))
played = Path("played")
played.write_text(played.read_text() + "." if played.exists() else ".")
if code == 69:
    sys.exit(sys.stderr.write("skyloom: no user namespaces here\\n") and 69)
if code == 65:
    sys.exit(sys.stderr.write("small.toml:3  name\\n") and 65)
if code == 75 and len(played.read_text()) >= int(given.get("tries", 99)):
    code = 0
folder = Path(options[options.index("--runs") + 1]) / "small" / "2026-id"
folder.mkdir(parents=True, exist_ok=True)
asked = {"figure": "summary.p99_ms", "asked": "at most 10", "observed": 12.5, "holds": code == 0, "reason": ""}
ended = {"node": "a", "program": "etcd", "reason": "ended", "last_lines": ["bind: address in use"]}
verdict = {
    "schema_version": 1, "scenario": "small", "seed": 5, "run_id": "id", "verdict": "fail" if code else "pass",
    "exit_code": code, "expectations": [asked], "programs": [ended] if code else [],
    "summary": {"p99_ms": 12.5, "words": words, **given},
}
(folder / "verdict.json").write_text(json.dumps(verdict))
print(json.dumps(verdict))
sys.exit(code)
"""


@pytest.fixture
def session(pytester, monkeypatch):
    """Runs a test file in a session whose command is only pretended; gives the result."""
    command = pytester.makepyfile(command=COMMAND)
    monkeypatch.setattr(pytest_plugin, "COMMAND", [sys.executable, str(command)])
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", str(Path(pytest_plugin.__file__).parents[2]))

    def start(body, *options, ini=""):
        pytester.makeini(f"[pytest]\n{ini}\n")
        pytester.makepyfile(f"def test_it(skyloom):\n    {body}\n")
        return pytester.runpytest_inprocess("-p", "emulator.cli.pytest_plugin", "-rs", *options)

    return start


def test_figures_and_verdict(session):
    result = session("""
    run = skyloom.run("small", "--elements", "omm.json", loss="1 %", seeds=[1, 2], on=True)
    assert run.passed and run.exit_code == 0 and run.verdict.seed == 5
    assert run.figure("summary.p99_ms") == 12.5 and run.figure("summary.loss") == "1 %"
    words = run.figure("summary.words")
    assert words[:3] == ["small", "--elements", "omm.json"]
    assert "seeds=[1, 2]" in words and "on=true" in words and "--json" in words
    assert run.folder.is_dir() and run.folder.parent.name == "small"
""")
    result.assert_outcomes(passed=1)


def test_a_missing_figure_lists_near_ones(session):
    result = session('skyloom.run("small").figure("summary.p95_ms")')
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*KeyError*summary.p95_ms: no such figure in this run; near ones: summary.p99_ms*"])


def test_a_failure_shows_expectations_and_last_lines(session):
    result = session('assert skyloom.run("small", code=1).passed')
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*- skyloom run *",
            "*FAIL*small*",
            "*summary.p99_ms*at most 10*12.5*",
            "*Last lines of etcd on a*",
            "*address in use*",
        ]
    )


def test_a_late_run_is_played_again(session, pytester):
    session('assert skyloom.run("small", code=75, tries=3).passed').assert_outcomes(passed=1)
    assert (pytester.path / "played").read_text() == "..."


def test_a_run_that_stays_late_skips(session, pytester):
    result = session('skyloom.run("small", code=75)')
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED*was late 4 times, so that its figures cannot be trusted*"])
    assert (pytester.path / "played").read_text() == "...."


def test_a_run_that_stays_late_fails_where_asked(session):
    result = session('skyloom.run("small", code=75)', ini="skyloom_late = fail")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*was late 4 times*"])


def test_another_word_for_late_is_refused(session):
    result = session("pass", ini="skyloom_late = ignore")
    result.stderr.fnmatch_lines(["*skyloom_late = ignore; expected skip or fail*"])


def test_a_machine_without_a_sandbox_skips(session):
    result = session('skyloom.run("small", code=69)')
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED*no user namespaces here*"])


def test_a_refused_scenario_fails_with_its_words(session):
    result = session('skyloom.run("small", code=65)')
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*ended with 65 and no verdict*", "*small.toml:3  name*"])


def test_run_folders_where_asked_and_files_beside_the_test(session, pytester):
    (pytester.path / "mine.toml").write_text("")
    result = session(
        """
    run = skyloom.run("mine.toml")
    assert run.figure("summary.words")[0].endswith("/mine.toml")
""",
        "--skyloom-runs",
        "kept",
    )
    result.assert_outcomes(passed=1)
    assert list((pytester.path / "kept" / "small").glob("*/verdict.json"))

"""JUnit XML and Markdown of runs: shape, words that break neither, and the estimates of repeated runs."""

from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from emulator.record.sweep import Sweep, estimate
from emulator.record.verdict import Outcome, Verdict
from emulator.report.ci.ended import EndedRun
from emulator.report.ci.junit import junit, xml_text
from emulator.report.ci.markdown import markdown
from emulator.report.repeats import repeat_table

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)

# What the schemas of Jenkins and of Apache Ant's JUnit task both have: attributes, and children in their order.
ATTRIBUTES = {
    "testsuites": set(),
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time", "timestamp", "hostname", "id", "package"},
    "properties": set(),
    "property": {"name", "value"},
    "testcase": {"classname", "name", "time"},
    "error": {"message", "type"},
    "failure": {"message", "type"},
    "system-out": set(),
    "system-err": set(),
}
CHILDREN = {"testsuite": ["properties", "testcase", "system-out", "system-err"], "testcase": ["error", "failure"]}


def check_shape(root):
    """The document has what the schemas allow, and its counts are those of its cases."""
    assert root.tag == "testsuites"
    for element in root.iter():
        assert set(element.attrib) == ATTRIBUTES[element.tag], element.tag
        order = CHILDREN.get(element.tag)
        if order:
            places = [order.index(child.tag) for child in element]
            assert places == sorted(places)
    for suite in root:
        assert int(suite.get("tests")) == len(suite.findall("testcase"))
        assert int(suite.get("failures")) == len(suite.findall("testcase/failure"))
        assert int(suite.get("errors")) == len(suite.findall("testcase/error"))
        assert float(suite.get("time")) == pytest.approx(
            sum(float(case.get("time")) for case in suite.iter("testcase"))
        )
        datetime.fromisoformat(suite.get("timestamp"))


def run_of(exit_code=0, *, holds=True, word="probe", **more):
    verdict = Verdict(word, 7, duration_s=5.0, warnings=[f"{word} is slow"], exit_code=exit_code, **more)
    verdict.expectations = [
        Outcome("summary.won", "equals True", True, True),
        Outcome(f"program {word} on a", "runs to its end", 1, holds, "" if holds else f"{word} ended with status 1"),
    ]
    verdict.programs = [] if holds else [{"node": "a", "program": word, "reason": "ended", "last_lines": [word, "```"]}]
    verdict.summary = {"won": True, "table": ["a block", "of lines"], "rtt_ms": {"p50": 12.345}}
    return EndedRun(word, 7, exit_code, 6.5, Path("runs/x"), verdict, verdict.error)


@pytest.mark.parametrize(
    ("run", "failures", "errors"),
    [
        (run_of(), 0, 0),
        (run_of(1, holds=False), 1, 0),
        (run_of(75), 0, 1),
        (run_of(75, holds=False), 1, 1),
        (run_of(70, error="the relay failed"), 0, 1),
        (EndedRun("probe", None, 65, 0.1, error="probe.toml:3  name"), 0, 1),
    ],
)
def test_counts_say_what_went_wrong(run, failures, errors):
    root = ElementTree.fromstring(junit([run], NOW))
    check_shape(root)
    (suite,) = root
    assert (suite.get("failures"), suite.get("errors")) == (str(failures), str(errors))


def test_failures_and_warnings_have_their_words():
    root = ElementTree.fromstring(junit([run_of(1, holds=False), run_of()], NOW))
    check_shape(root)
    failure = root.find("testsuite/testcase/failure")
    assert failure.get("message") == "probe ended with status 1"
    assert root.find("testsuite/system-out").text == "warning: probe is slow\n"
    assert "    probe\n" in root.find("testsuite/system-err").text
    assert [suite.get("id") for suite in root] == ["0", "1"]


@given(st.text())
def test_any_words_make_well_formed_xml(words):
    root = ElementTree.fromstring(junit([run_of(1, holds=False, word=words, error=words)], NOW))
    check_shape(root)


def test_characters_that_xml_lacks_are_told():
    assert xml_text("\x1b[31m\x00 ok\n\ud800\uffff") == "\\x1b[31m\\x00 ok\n\\xd800\\xffff"


def test_markdown_has_verdict_expectations_figures_and_warnings():
    page = markdown([run_of(1, holds=False)])
    assert page.startswith("### ❌ FAIL probe, seed 7\n")
    assert "5.0 s played in 6.5 s; exit 1" in page
    assert "| ✅ | summary.won | equals True | true |  |" in page
    assert "| rtt\\_ms.p50 | 12.3 |" in page
    assert "- ⚠️ probe is slow" in page
    assert "````\nprobe\n```\n````" in page


@given(st.text(min_size=1))
def test_words_end_no_table_and_open_no_html(words):
    for line in markdown([run_of(1, holds=False, word=words)]).splitlines():
        if line.startswith("| "):
            plain = line.replace("\\\\", "").replace("\\|", "").replace("\\<", "")
            assert plain.count("|") in (3, 6)
            assert "<" not in plain


def sweep_of(values, codes=None):
    sweep = Sweep(Path("x"), "probe", {}, len(values))
    for seed, value in enumerate(values):
        code = codes[seed] if codes else 0
        sweep.add({}, {"seed": seed, "exit_code": code}, {"rtt_ms": value, "won": value > 1, "name": "x"})
    return sweep


@given(st.lists(st.integers(-(10**6), 10**6), min_size=2, max_size=30))
def test_estimates_are_students(values):
    found = estimate(sweep_of(values).rows, "rtt_ms")
    if len(set(values)) == 1:
        assert found.half_width == 0
        return
    low, high = stats.t.interval(0.95, len(values) - 1, loc=0, scale=stats.sem(values))
    assert found.half_width == pytest.approx((high - low) / 2, rel=1e-9)


def test_late_runs_are_in_no_mean_and_one_run_has_no_interval():
    assert estimate(sweep_of([1.0, 5.0], [0, 75]).rows, "rtt_ms") == (1, 1.0, None, 1.0, 1.0)
    assert estimate(sweep_of([1.0], [75]).rows, "rtt_ms") is None
    table = repeat_table(sweep_of([1.0, 2.0]))
    assert [line.split()[0] for line in table.splitlines()] == ["figure", "rtt_ms", "won"]
    assert "trusted" in repeat_table(sweep_of([1.0], [75]))

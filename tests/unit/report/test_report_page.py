"""Reports: what is on the page of a run or a sweep, that nothing on it can break out, and what broken analyses do."""

import base64
import hashlib
import html.parser
import sys

import pytest

from emulator.cli.report import report
from emulator.model.errors import DataError, UsageError
from emulator.record.events import EventLog, SampleLog
from emulator.record.folder import RunFolder
from emulator.record.links import LinkLog
from emulator.record.sweep import Sweep
from emulator.record.verdict import Verdict
from emulator.record.verdict.judge import conclude
from emulator.report.sections import Window, write_report

ANALYSIS = """
from emulator.report import drawing
def figures(run):
    figure, axes = drawing.new()
    axes.plot(run.samples["t_s"], run.samples["value"], label="<b>& seen")
    axes.legend()
    return [drawing.Drawing("rtt", "Round <trips>", "Each & every one", figure)]
def sweep_figures(table):
    figure, axes = drawing.new()
    axes.plot(table["opinions"], table["rounds"])
    return [drawing.Drawing("rounds", "Rounds", "More opinions, more rounds", figure)]
"""


DRAWN = """
from emulator.report import drawing
def figures(run):
    return [drawing.Drawing("{}", "", "", {})]
"""


class Page(html.parser.HTMLParser):
    """Tags and texts of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def analysis(tmp_path):
    """Writes the analysis module of the scenario; returns its name."""

    def write(text, name):
        (tmp_path / f"{name}.py").write_text(text)
        return name

    yield write
    sys.path[:] = [entry for entry in sys.path if entry != str(tmp_path)]


def finished(tmp_path, module="", **fields):
    folder = RunFolder.create(tmp_path / "runs", "leo")
    folder.write_scenario(f'name = "leo"\nanalysis = "{module}"\ndirectory = "{tmp_path}"\n[parameters]\nagents = 64\n')
    events, samples, links = EventLog(folder), SampleLog(folder), LinkLog(folder, ["a:x"])
    samples.append(1.0, "a", "p", "rtt_s", "b", 0.1)
    for spool in (events, samples, links):
        spool.finish()
    defaults = {
        "summary": {
            "handovers": 13,
            "rtt_ms": {"p50": 98.2},
            "note": "<script>alert(1)</script>",
            "rows": [{"to": "b"}],
        },
        "prediction": {"handovers": 12, "rate": 2.0},
        "warnings": ["the clock <went> back"],
    }
    verdict = conclude(Verdict("leo", 7, **(defaults | fields)), [{"figure": "summary.handovers", "at_least": 20}])
    folder.write_verdict(verdict.to_json())
    folder.close()
    return folder.path


def test_page_of_a_run(tmp_path, analysis):
    folder = finished(tmp_path, analysis(ANALYSIS, "report_one"))
    path, warnings = write_report(folder)
    assert warnings == []
    document = path.read_text()
    page = Page(document)
    assert (
        page.text.index("FAIL")
        < page.text.index("Expectations")
        < page.text.index("Predicted")
        < page.text.index("Round <")
    )
    for words in ("at least 20", "differs", "not observed", "98.2", "the clock <went> back", "agents", "verdict.json"):
        assert words in page.text
    assert (folder / "figures" / "rtt.svg").read_text().startswith("<?xml")
    assert "svg" in page.tags


def test_a_late_run_says_what_made_it_late(tmp_path, analysis):
    budget = {"late_packets": 12345, "late_share": 0.06, "engine": 0.16, "scheduler": 0.84, "capture": 0.0}
    late = {"lateness_ms": {"p99": 7.5}, "lateness_limit_ms": 2.0, "lateness_budget": budget}
    page = Page(write_report(finished(tmp_path, analysis(ANALYSIS, "report_late"), **late))[0].read_text())
    assert "scheduler 84 %, engine 16 %; 12,345 packets (6.0 %) more than 1 ms late" in page.text
    in_time = finished(tmp_path / "other", analysis(ANALYSIS, "report_late"), **(late | {"lateness_limit_ms": 10.0}))
    assert "scheduler" not in Page(write_report(in_time)[0].read_text()).text


def test_the_only_script_is_our_own_and_nothing_comes_from_elsewhere(tmp_path, analysis):
    document = write_report(finished(tmp_path, analysis(ANALYSIS, "report_two")))[0].read_text()
    page = Page(document)
    assert not {"img", "link", "iframe", "b", "trips", "went"} & set(page.tags)
    assert page.tags.count("script") == 1
    script = document.partition("<script>")[2].partition("</script>")[0]
    allowed = "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = next(value for name, value in page.attributes if name == "content" and value.startswith("default-src"))
    assert policy.split("; ")[0] == "default-src 'none'"
    assert f"script-src '{allowed}'" in policy.split("; ")
    leads = [value for name, value in page.attributes if name in ("href", "xlink:href", "src")]
    assert any(value.startswith("#rtt-") for value in leads)
    assert all(value.startswith("#") for value in leads)
    ids = [value for name, value in page.attributes if name == "id"]
    assert {value[1:] for value in leads} <= set(ids)
    assert len(ids) == len(set(ids))


def test_the_same_folder_gives_the_same_page(tmp_path, analysis):
    folder = finished(tmp_path, analysis(ANALYSIS, "report_three"))
    first = write_report(folder)[0].read_text()
    assert write_report(folder)[0].read_text() == first


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("raise RuntimeError('no luck')", "no luck"),
        ("def figures(run): return 1 / 0", "ZeroDivisionError"),
        ("def figures(run): return ['x']", "expected emulator.report.drawing.Drawing"),
        (DRAWN.format("../x", "drawing.new()[0]"), "letters"),
        (DRAWN.format("x", "None"), "drawing x failed"),
    ],
)  # fmt: skip
def test_broken_analysis_is_a_warning_on_the_page(text, said, tmp_path, analysis, request):
    name = "report_broken_" + str(abs(hash(text)))
    path, warnings = write_report(finished(tmp_path, analysis(text, name)))
    assert said in warnings[0]
    assert said in Page(path.read_text()).text


def test_analysis_without_drawings_or_none_at_all(tmp_path, analysis):
    assert write_report(finished(tmp_path, analysis("", "report_plain")))[1] == []
    assert write_report(finished(tmp_path))[1] == []
    assert "no_such_module" in write_report(finished(tmp_path, "no_such_module"))[1][0]


def test_a_broken_table_costs_the_marks_and_not_the_drawings(tmp_path, analysis):
    text = ANALYSIS.replace("    axes.legend()\n", "    drawing.over_time(axes)\n", 1)
    folder = finished(tmp_path, analysis(text, "report_no_events"))
    (folder / "events.parquet").write_bytes(b"PAR1, and then the disk was full")
    _, warnings = write_report(folder)
    assert len([warning for warning in warnings if "events.parquet" in warning]) == 1
    assert (folder / "figures" / "rtt.svg").exists()


def test_a_run_on_several_hosts_shows_them_and_how_to_run_it_again(tmp_path):
    folder = finished(tmp_path)
    verdict = Verdict.from_json((folder / "verdict.json").read_text())
    row = {"nodes": 7, "lateness_ms": {"p99": 1.25}, "engine_cpu_s": 4.5, "relay_cpu_s": 5.0, "late_rows": 0}
    verdict.machines = [{"name": name, "memory_bytes": 88_000_000, **row} for name in ("host 0", "host 1")]
    verdict.trunks = {"crossings": 20_668, "lost": 0}
    verdict.clock = {"offset_us": 2.5}
    (folder / "verdict.json").write_text(verdict.to_json())
    page = Page(write_report(folder)[0].read_text())
    for words in ("host 1", "1.25", "88.0 MB", "20,668 packets between hosts", "2.50 us", "scenario.toml --hosts 2"):
        assert words in page.text


def test_run_without_a_verdict(tmp_path):
    folder = finished(tmp_path)
    (folder / "verdict.json").unlink()
    assert "no verdict" in Page(write_report(folder)[0].read_text()).text


def test_page_of_a_sweep(tmp_path, analysis):
    sweep = Sweep.create(tmp_path, "plurality", {"opinions": [2, 4]}, 2)
    sweep.analysis, sweep.directory = analysis(ANALYSIS, "report_sweep"), str(tmp_path)
    for opinions in (2, 4):
        for seed in (1, 2):
            sweep.add(
                {"opinions": opinions},
                {"seed": seed, "run": f"run-{opinions}-{seed}", "verdict": "pass", "exit_code": 75 * (seed == 2),
                 "wall_s": 1.0, "attempts": 1, "error": ""},
                {"rounds": opinions * 2.0},
            )  # fmt: skip
    sweep.complete = True
    sweep.save()
    path, warnings = write_report(sweep.path)
    assert warnings == []
    page = Page(path.read_text())
    for words in ("2 of 4 runs passed", "run-4-2", "not counted", "More opinions, more rounds"):
        assert words in page.text
    assert (sweep.path / "figures" / "rounds.svg").exists()


def test_folder_that_cannot_be_written_or_read(tmp_path):
    with pytest.raises(DataError, match="not a run folder"):
        write_report(tmp_path)
    folder = finished(tmp_path)
    (folder / "report.html").mkdir()
    with pytest.raises(DataError, match=r"report\.html"):
        write_report(folder)


def test_the_command_prints_the_page_and_draws_a_window(tmp_path, capsys):
    folder = finished(tmp_path)
    report(str(folder), runs=tmp_path, window="0.5s:2s", nodes=["*"])
    assert capsys.readouterr().out == f"{folder / 'report.html'}\n"
    assert "0 messages sent from 0.5 to 2 s" in Page((folder / "report.html").read_text()).text
    with pytest.raises(UsageError, match="--nodes without --window"):
        report(str(folder), runs=tmp_path, nodes=["a"])


def test_a_sweep_has_no_window(tmp_path):
    sweep = Sweep.create(tmp_path, "plurality", {}, 1)
    sweep.save()
    with pytest.raises(UsageError, match="of one run"):
        write_report(sweep.path, Window(0.0, 1.0))


def test_long_logs_are_cut_in_the_middle_of_each_kind(tmp_path):
    import polars as pl

    from emulator.report.sections.events import MOST_EVENTS, chosen

    kinds = ["tick"] * 5000 + ["action"] + ["tock"] * 100
    frame = pl.DataFrame({"t_s": [float(number) for number in range(len(kinds))], "kind": kinds})
    kept = chosen(frame)
    assert kept.height == MOST_EVENTS
    assert kept["t_s"].is_sorted()
    assert kept.filter(pl.col("kind") == "action").height == 1
    assert kept.filter(pl.col("kind") == "tock").height == 100
    ticks = kept.filter(pl.col("kind") == "tick")["t_s"].to_list()
    assert (ticks[0], ticks[-1]) == (0.0, 4999.0)

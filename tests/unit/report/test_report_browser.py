"""A report in a real browser: nothing is fetched or fails, figures are there, tables sort, filter and give CSV."""

import csv
import io
from urllib.parse import unquote

import headless_browser
import pytest

from emulator.link.stats import EndStats
from emulator.record.events import EventLog, SampleLog
from emulator.record.folder import RunFolder
from emulator.record.links import LinkLog
from emulator.record.verdict import Verdict
from emulator.record.verdict.judge import conclude
from emulator.report.sections import Window, write_report

pytestmark = pytest.mark.skipif(
    headless_browser.program() is None, reason=f"none of {', '.join(headless_browser.PROGRAMS)} is installed"
)
ENDS = 30
TABLE = "document.querySelector('table[data-name=links]')"
COLUMN = (
    f"[...{TABLE}.tBodies[0].rows].filter(row => !row.hidden)"
    ".map(row => row.cells[%d].dataset.value ?? row.cells[%d].textContent)"
)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The page of a run with thirty link ends, faults and probes, written by the real writers."""
    folder = RunFolder.create(tmp_path_factory.mktemp("runs"), "small", "0ff1ce")
    folder.write_scenario('name = "small"\nseed = 1\n')
    names = [f"n{number}:x" for number in range(ENDS)]
    events, samples, links = EventLog(folder), SampleLog(folder), LinkLog(folder, names)
    events.append(0.0, "", "skyloom", "play", {"t0_utc_ns": 1})
    events.append(1.2, "", "skyloom", "action", {"do": "hold", "nodes": ["n1"]})
    events.append(2.5, "", "skyloom", "action", {"do": "release", "nodes": ["n1"]})
    events.append(2.0, "", "", "handover", {"link": "n2:x", "before": "", "after": "<sat>"})
    for number in range(40):
        samples.append(0.1 * number, "n0", "p", "owd_s", "n1", 0.02)
    for second in (1, 2, 3, 4):
        readings = {}
        for end in range(ENDS):
            values = [0.0] * len(EndStats)
            values[EndStats.SENT_PACKETS] = (end + 11) * second
            values[EndStats.DELIVERED_PACKETS] = (end + 10) * second
            values[EndStats.SENT_BYTES] = values[EndStats.DELIVERED_BYTES] = 1000.0 * second * (1 + (7 * end) % ENDS)
            values[EndStats.DROP_QUEUE] = second
            values[EndStats.ASKED_DELAY_SUM_S] = 0.003 * second * (end + 10)
            values[EndStats.LATE_SUM_S], values[EndStats.LATE_MAX_S] = 1e-4 * (end + 10) * second, 0.002
            readings[end] = values
        links.update(float(second), readings, final=second == 4)
    for spool in (events, samples, links):
        spool.finish()
    verdict = Verdict("small", 1, run_id="0ff1ce", duration_s=4.0, warnings=["<b>"], summary={"rounds": 4, 'a"b': 1.5})
    folder.write_verdict(conclude(verdict, [{"figure": "summary.rounds", "at_least": 5}]).to_json())
    folder.close()
    path, warnings = write_report(folder.path, Window(1.0, 2.0))
    assert warnings == []
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    opened = headless_browser.Page(tmp_path_factory.mktemp("profile"))
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture
def page(browser, report):
    browser.open(report.as_uri(), 1200)
    return browser


def column(page, number):
    return page.evaluate(COLUMN % (number, number))


def quiet(page, report):
    """No console message, no error, nothing fetched but the page itself."""
    assert page.of("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded") == []
    fetched = {params["request"]["url"].partition("#")[0] for params in page.of("Network.requestWillBeSent")}
    assert {url for url in fetched if not url.startswith("data:")} == {report.as_uri()}


def test_everything_is_there_and_nothing_fails(page, report):
    quiet(page, report)
    assert page.evaluate("document.querySelector('h1').textContent") == "FAIL  small"
    sizes = page.evaluate("[...document.querySelectorAll('figure svg')].map(svg => "
                          "[svg.getBoundingClientRect().width, svg.getBoundingClientRect().height])")  # fmt: skip
    assert len(sizes) == 5  # messages, lateness, delays, rates, drops
    assert all(width > 300 and height > 150 for width, height in sizes)
    text = page.evaluate("document.body.textContent")
    assert "Shaded: hold n1 1.2 to 2.5 s. Thin lines: handovers (1)." in text


def test_headers_sort_by_mouse_and_by_key(page, report):
    rates = [float(value) for value in column(page, 8)]
    assert rates == sorted(rates, reverse=True)
    page.evaluate(f"{TABLE}.tHead.rows[0].cells[8].querySelector('button').click()")
    assert [float(value) for value in column(page, 8)] == sorted(rates)
    assert page.evaluate(f"{TABLE}.tHead.rows[0].cells[8].getAttribute('aria-sort')") == "ascending"
    page.evaluate(f"{TABLE}.tHead.rows[0].cells[11].querySelector('button').focus()")
    page.press("Enter", 13)
    packets = [int(value) for value in column(page, 11)]
    assert packets == sorted(packets)
    page.press("Enter", 13)
    assert [int(value) for value in column(page, 11)] == packets[::-1]
    assert page.evaluate(f"{TABLE}.querySelectorAll('[aria-sort]').length") == 1
    quiet(page, report)


def test_the_filter_and_the_csv(page, report):
    box = f"{TABLE}.parentNode.previousElementSibling.querySelector('input')"
    page.evaluate(f"{box}.focus()")
    page.call("Input.insertText", text="N2")
    shown = column(page, 0)
    assert sorted(shown) == sorted(name for name in (f"n{n}:x" for n in range(ENDS)) if "n2" in name)
    page.evaluate("document.addEventListener('click', event => event.preventDefault())")
    link = f"{TABLE}.parentNode.previousElementSibling.querySelector('a')"
    href = page.evaluate(f"{link}.click(), {link}.href")
    assert href.startswith("data:text/csv")
    text = unquote(href.partition(",")[2])
    found = list(csv.DictReader(io.StringIO(text)))
    assert [row["link end"] for row in found] == shown
    import polars as pl

    frame = pl.read_parquet(report.parent / "links.parquet")
    for row in found:
        mine = frame.filter(pl.col("end") == row["link end"])
        assert int(row["packets sent"]) == mine["sent_packets"].sum()
        assert float(row["delivered Mbit/s"]) == pytest.approx(mine["delivered_bytes"].sum() * 8e-6 / 4.0)
    quiet(page, report)


def test_a_narrow_window_needs_no_sideways_scrolling_of_the_page(page, report):
    page.open(report.as_uri(), 400)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(25, 25, 25)"
    quiet(page, report)

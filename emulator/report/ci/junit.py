"""JUnit XML of runs: a test suite a run, a test case an expectation, and one for the run itself.

Invariant: the text is well-formed whatever a scenario or a program says, and has only what the schemas of Jenkins and
of Apache Ant's JUnit task both allow; a suite without failures and errors is a run that passed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from xml.etree import ElementTree

from emulator.model.errors import EXIT_FAIL
from emulator.record.verdict import Outcome
from emulator.report import text
from emulator.report.ci.ended import EndedRun
from emulator.report.summary import MEANING, meaning

_NO_CHARACTERS = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # of XML 1.0


def junit(runs: Sequence[EndedRun], now_utc: datetime) -> str:
    """The document. `now_utc` stamps each suite."""
    root = ElementTree.Element("testsuites")
    for number, run in enumerate(runs):
        root.append(_suite(run, number, now_utc))
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, "unicode")}\n'


def xml_text(words: str) -> str:
    """The words with `\\x1b` in place of characters that XML does not have."""
    return _NO_CHARACTERS.sub(lambda found: f"\\x{ord(found[0]):02x}", words)


def _suite(run: EndedRun, number: int, now_utc: datetime) -> ElementTree.Element:
    outcomes = run.verdict.expectations if run.verdict else []
    failures = sum(not outcome.holds for outcome in outcomes)
    errors = not run.passed and not (run.exit_code == EXIT_FAIL and failures)
    suite = _element(
        "testsuite",
        name=run.scenario,
        tests=str(len(outcomes) + 1),
        failures=str(failures),
        errors=str(int(errors)),
        skipped="0",
        time=f"{run.wall_s:.3f}",
        timestamp=now_utc.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
        hostname="localhost",
        id=str(number),
        package="skyloom",
    )
    properties = ElementTree.SubElement(suite, "properties")
    values = {"seed": run.seed, "exit_code": run.exit_code, "run_folder": run.folder}
    for name, value in values.items():
        if value is not None:
            properties.append(_element("property", name=name, value=str(value)))
    name = f"skyloom.{run.scenario}"
    case = _element("testcase", classname=name, name="run", time=f"{run.wall_s:.3f}")
    suite.append(case)
    if errors:
        case.append(_error(run))
    for outcome in outcomes:
        case = _element("testcase", classname=name, name=f"{outcome.figure} {outcome.asked}", time="0.000")
        suite.append(case)
        if not outcome.holds:
            case.append(_failure(outcome))
    suite.append(_element("system-out", "".join(f"warning: {each}\n" for each in _warnings(run))))
    suite.append(_element("system-err", _last_lines(run)))
    return suite


def _error(run: EndedRun) -> ElementTree.Element:
    message = run.error or (meaning(run.verdict) if run.verdict else MEANING.get(run.exit_code, ""))
    return _element("error", message, message=f"exit {run.exit_code}: {message}", type=f"exit {run.exit_code}")


def _failure(outcome: Outcome) -> ElementTree.Element:
    observed = "-" if outcome.observed is None else text.value(outcome.observed)
    message = outcome.reason or f"observed {observed}"
    words = f"{outcome.figure}: asked {outcome.asked}, observed {observed}"
    return _element("failure", f"{words}\n{outcome.reason}".rstrip(), message=message, type="expectation")


def _warnings(run: EndedRun) -> list[str]:
    return run.verdict.warnings if run.verdict else []


def _last_lines(run: EndedRun) -> str:
    """What failed programs printed last."""
    parts = []
    for row in run.verdict.programs if run.verdict else []:
        parts.append(f"{row.get('program')} on {row.get('node')}: {row.get('reason', '')}\n")
        parts += [f"    {line}\n" for line in row.get("last_lines") or ()]
    return "".join(parts)


def _element(tag: str, words: str = "", **attributes: str) -> ElementTree.Element:
    element = ElementTree.Element(tag, {name: xml_text(value) for name, value in attributes.items()})
    element.text = xml_text(words) or None
    return element

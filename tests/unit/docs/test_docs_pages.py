"""The pages of docs/ and the README: what they link to is there, and the commands that they show can be typed."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from emulator.cli import COMMANDS, _app, sky
from emulator.model.errors import SkyloomError
from emulator.scenario import load
from emulator.scenario.catalogue import bundled

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"(?<!`)!?\[[^\]\n]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.S | re.M)


NOT_BUNDLED = re.compile(r"consensus\.rule=patient|isl\.rat=")  # a rule that the reader writes, an error that is shown


def text_of(page: Path) -> str:
    """The page without its blocks of code."""
    return FENCE.sub("", page.read_text())


def anchors(page: Path) -> set[str]:
    """What `#…` may name in a page, as GitHub makes it of the headings."""
    found = re.findall(r"^#+ (.+)$", text_of(page), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in found}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_is_linked_is_there(page: Path) -> None:
    for target in LINK.findall(text_of(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name}: {target}"
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file), f"{page.name}: {target}; expected one of {sorted(anchors(file))}"


def test_every_picture_is_shown() -> None:
    shown = {target for page in PAGES for target in LINK.findall(text_of(page))}
    names = {Path(target).name for target in shown if "pictures/" in target}
    assert {picture.name for picture in (ROOT / "docs" / "pictures").iterdir()} == names


def test_pictures_name_no_path_of_a_machine() -> None:
    for picture in (ROOT / "docs" / "pictures").glob("*.svg"):
        assert not re.search(r"/(tmp|root|home|work)/", picture.read_text()), picture.name


def typed(page: Path) -> Iterator[list[str]]:
    """The words after `skyloom` of each line of a block, and of each `skyloom …` in the text, that is a command."""
    text = page.read_text()
    lines = [line for kind, body in FENCE.findall(text) if kind in ("", "sh", "bash") for line in body.splitlines()]
    lines += re.findall(r"`(skyloom [^`]+)`", FENCE.sub("", text))
    for line in lines:
        line = re.split(r"\s{3,}| \| | > |  #", line.removeprefix("$ "))[0].strip()
        if not line.startswith("skyloom ") or "…" in line:
            continue
        words = shlex.split(line)[1:]
        if words[0] in COMMANDS or words[0].startswith("-"):
            yield [word for word in words if word not in ("[RUN]",)]


@pytest.fixture(scope="module")
def command() -> Any:
    return typer.main.get_command(_app(None))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_can_be_typed(page: Path, command: Any) -> None:
    for words in typed(page):
        if words[0].startswith("-"):
            assert words[0] in ("--help", "--version"), words
            continue
        found = command.commands[words[0]]
        try:
            found.make_context(words[0], words[1:], resilient_parsing=False)
        except Exception as error:
            pytest.fail(f"{page.name}: skyloom {shlex.join(words)}: {error}")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_bundled_scenarios_take_what_is_set(page: Path, command: Any) -> None:
    names = {entry.name for entry in bundled()}
    for words in typed(page):
        if words[0] in ("run", "plan"):
            asked = command.commands[words[0]].make_context(words[0], words[1:]).params
            if asked["scenario"] in names and not NOT_BUNDLED.search(shlex.join(words)):
                items = [*sky.overrides(asked["start"], site=asked.get("site")), *(asked["overrides"] or ())]
                items += [f'duration="{asked["duration"]}"'] if asked["duration"] else []
                try:
                    load(asked["scenario"], items)
                except SkyloomError as error:
                    pytest.fail(f"{page.name}: skyloom {shlex.join(words)}: {error}")


def test_python_of_the_analysis_page_is_sound() -> None:
    blocks = [body for kind, body in FENCE.findall((ROOT / "docs" / "analysis.md").read_text()) if kind == "python"]
    assert len(blocks) >= 4
    for body in blocks:
        ast.parse(body)

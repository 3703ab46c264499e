"""Paths in the pages: every file that a page names is there, and the ten of docs/design.md hold what they promise."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from emulator.runtime.control import cluster_messages

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMED = re.compile(r"`((?:emulator|nodes|topologies|scenarios|tests|benchmarks)/[^`\s]*)`")
CONTROL = ROOT / "emulator" / "runtime" / "control"
DOTTED = re.compile(r"\b((?:emulator|nodes|topologies)(?:\.\w+)+)")


def files(path: str) -> list[Path]:
    """What a path names; `<protocol>` stands for any name."""
    return sorted(ROOT.glob(re.sub(r"<\w+>", "*", path).rstrip("/")))


def ten_paths() -> list[tuple[str, list[str], list[str]]]:
    """What is looked for, the paths of its row, and the words that its first file holds."""
    section = (ROOT / "docs" / "design.md").read_text().split("\n## Ten paths\n")[1]
    rows = [row.strip("|").split("|") for row in section.splitlines() if row.startswith("|")][2:]
    return [(what.strip(), NAMED.findall(paths), re.findall(r"`([^`]+)`", words)) for what, paths, words in rows]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_pages_name_are_there(page: Path) -> None:
    for path in NAMED.findall(page.read_text()):
        assert files(path), f"{page.name} names {path}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_modules_that_pages_name_are_there(page: Path) -> None:
    for name in DOTTED.findall(page.read_text()):
        path = ROOT
        for part in name.split("."):
            path /= part
            if path.with_suffix(".py").exists():
                break
            if not path.is_dir():  # a name that the package gives out
                assert re.search(rf"\b{part}\b", (path.parent / "__init__.py").read_text()), f"{page.name} names {name}"
                break


def test_there_are_ten_paths() -> None:
    assert len(ten_paths()) == 10


@pytest.mark.parametrize(
    ("what", "paths", "words"), ten_paths(), ids=lambda part: part if isinstance(part, str) else ""
)
def test_what_is_looked_for_is_in_its_file(what: str, paths: list[str], words: list[str]) -> None:
    assert paths, f"{what}: no path"
    assert words, f"{what}: nothing to look for"
    for path, word in zip(paths, words, strict=False):
        assert files(path), f"{what}: {path} is not there"
        for file in files(path):
            assert word in file.read_text(), f"{what}: {file.relative_to(ROOT)} has no {word!r}"


@pytest.mark.parametrize("module", ["messages.py", "cluster_messages.py"])
def test_every_control_message_has_its_place(module: str) -> None:
    page = (ROOT / "docs" / "control-protocol.md").read_text()
    classes = re.findall(r"^class (\w+)\(ControlMessage\)", (CONTROL / module).read_text(), re.M)
    assert classes
    assert [name for name in classes if not re.search(rf"`{name}\b", page)] == []


def test_messages_between_hosts_have_the_fields_that_the_page_names() -> None:
    page = (ROOT / "docs" / "control-protocol.md").read_text().partition("## Lead and hosts")[2].partition("\n## ")[0]
    told = {name: inside for name, inside in re.findall(r"`(\w+)\(([^)…]*)\)`", page) if name != "Beat"}
    assert len(told) > 8
    for name, names in told.items():
        assert names.split(", ") == [each.name for each in fields(getattr(cluster_messages, name))], name

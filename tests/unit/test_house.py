"""The house itself: imports point one way, nothing takes the time behind the clock's back."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ["scenario", "orbit", "schedule", "fabric", "link", "runtime", "record", "show", "cli"]
FOUNDATIONS = {"errors", "inputs", "printable", "units", "network", "clock", "tables", "node", "rounds", "protocol",
               "binned", "wire"}  # fmt: skip
ALLOWED_TOPOLOGIES = ("emulator.units", "emulator.network", "emulator.errors", "emulator.inputs", "emulator.tables",
                      "emulator.orbit", "emulator.schedule", "topologies")  # fmt: skip
ALLOWED_NODES = ("emulator.node", "emulator.rounds", "emulator.protocol", "emulator.wire", "emulator.binned",
                 "emulator.errors", "emulator.inputs", "emulator.units", "nodes")  # fmt: skip
ALLOWED_FIGURES = ("emulator.show.drawing", "emulator.record.load")  # to modules of nodes that are called figures.py


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Dotted names that a module imports anywhere in it, imports inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", modules("emulator"), ids=lambda path: str(path.relative_to(ROOT)))
def test_rooms_import_only_rooms_before_them(path: Path) -> None:
    parts = path.relative_to(ROOT / "emulator").parts
    room = parts[0] if len(parts) > 1 else None
    for name in imports(path):
        top, _, rest = name.partition(".")
        assert top not in {"nodes", "topologies", "scenarios"}, f"{path}: the machine knows no {top}"
        target = rest.split(".")[0]
        if top != "emulator" or target not in ROOMS:
            continue
        assert room is not None, f"{path}: a foundation imports the room {target}"
        if path.name == "build.py" and room == "scenario" and target in {"fabric", "schedule"}:
            continue  # where a scenario becomes a network; neither room knows scenarios
        if room == "runtime" and target == "record":
            continue  # the record is a writer of plain values that the supervisor owns
        assert ROOMS.index(target) <= ROOMS.index(room), f"{path}: {room} comes before {target}"


@pytest.mark.parametrize(("folder", "allowed"), [("topologies", ALLOWED_TOPOLOGIES), ("nodes", ALLOWED_NODES)])
def test_packages_import_only_their_door(folder: str, allowed: tuple[str, ...]) -> None:
    for path in modules(folder):
        for name in imports(path):
            if name.split(".")[0] in {"emulator", "nodes", "topologies", "scenarios"}:
                doors = allowed + ALLOWED_FIGURES if path.name == "figures.py" else allowed
                assert any(f"{name}.".startswith(f"{door}.") for door in doors), f"{path} imports {name}"


def test_no_cast_passes_off_one_class_as_another() -> None:
    """What stands in for a class is typed by a Protocol. Only what comes from outside (plug-ins) is cast."""
    for path in modules("emulator"):
        if path.relative_to(ROOT).parts[1] == "cli":
            continue
        casts = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
                 and isinstance(node.func, ast.Name) and node.func.id == "cast"]  # fmt: skip
        assert not casts, f"{path}:{casts[0].lineno} casts"


def test_documents_that_sources_name_exist() -> None:
    """A reader of the repository alone can follow every reference to a file of docs/, or to another module of it."""
    for folder in ("emulator", "nodes", "topologies", "scenarios"):
        for path in sorted(path for kind in ("*.py", "*.c", "*.h") for path in (ROOT / folder).rglob(kind)):
            text = path.read_text()
            named = re.findall(r"\b(?:docs|emulator|nodes|topologies|scenarios)/[\w./-]*\w\.(?:md|py|toml|c|h)\b", text)
            for name in named:
                assert (ROOT / name).exists(), f"{path.relative_to(ROOT)} names {name}, which is not there"
            absent = re.findall(r"(?i)\b(?:our specification|test plan|specs/[\w-]+)\b", text)
            if path.is_relative_to(ROOT / "emulator"):
                assert not absent, f"{path.relative_to(ROOT)} refers to {absent[0]!r}, which is not in the repository"


def test_every_module_says_what_it_is() -> None:
    for folder in ("emulator", "nodes", "topologies", "scenarios"):
        for path in modules(folder):
            tree = ast.parse(path.read_text())
            assert not tree.body or ast.get_docstring(tree), f"{path.relative_to(ROOT)} opens with no docstring"


def test_cores_take_neither_time_nor_randomness() -> None:
    for path in modules("nodes"):
        if path.name in {"core.py", "wire.py"}:
            forbidden = {name for name in imports(path) if name.split(".")[0] in {"time", "asyncio", "socket", "os"}}
            assert not forbidden, f"{path.relative_to(ROOT)} imports {forbidden}"

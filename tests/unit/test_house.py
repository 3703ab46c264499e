"""The house itself: rooms import rooms before them, no circle of imports, cores that take neither time nor chance."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import networkx as nx
import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("emulator", "nodes", "topologies", "scenarios")
ROOMS = ["model", "sdk", "orbit", "schedule", "fabric", "scenario", "link", "record", "observe", "runtime", "client",
         "report", "ui", "cli"]  # fmt: skip
DOORS = {  # what a package may import beside itself
    "nodes": ("emulator.sdk", "emulator.model"),
    "topologies": ("emulator.model", "emulator.orbit", "emulator.schedule"),
}
FIGURES = ("emulator.report.drawing", "emulator.record.load")  # modules of nodes that are called figures.py, too
CLOCKS = {"time", "asyncio", "socket", "os", "threading", "datetime", "secrets"}
THIN = {  # modules of nodes that own sockets, tasks or the processor's clock; all others are cores
    "nodes/dagbft/client/auditor.py", "nodes/dagbft/client/finality.py", "nodes/dagbft/client/process.py",
    "nodes/dagbft/colocated.py", "nodes/dagbft/primary/client_endpoint.py", "nodes/dagbft/primary/process.py",
    "nodes/dagbft/worker/process.py", "nodes/explorer/agent_transfer.py", "nodes/explorer/conductor.py",
    "nodes/explorer/process.py", "nodes/ibc/chain/process.py", "nodes/ibc/chain/server.py",
    "nodes/ibc/relayer/ask.py", "nodes/ibc/relayer/chain_driver.py", "nodes/ibc/relayer/process.py",
    "nodes/ibc/relayer/rpc.py",
    "nodes/pipeline/__init__.py", "nodes/pipeline/cache.py", "nodes/pipeline/calibrate.py", "nodes/pipeline/command.py",
    "nodes/pipeline/model/fetch.py", "nodes/pipeline/stages/engine.py", "nodes/pipeline/stages/process.py",
    "nodes/pipeline/stages/prompt.py",
    "nodes/ibc/validator/ordering.py", "nodes/ibc/validator/process.py",
    "nodes/plurality/process.py", "nodes/routes/watch.py", "nodes/traffic/bulk.py", "nodes/traffic/probe.py",
    "nodes/traffic/request.py", "nodes/xroute/flooding/process.py", "nodes/xroute/load.py",
    "nodes/xroute/names/process.py", "nodes/xroute/relayer/process.py",
}  # fmt: skip
CHANCE = {"random", "randrange", "randint", "choice", "choices", "sample", "shuffle", "uniform", "urandom"}


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def known() -> frozenset[str]:
    return frozenset(dotted(path) for folder in FOLDERS for path in modules(folder))


@cache
def imports(path: Path) -> frozenset[str]:
    """Modules, and names that are no modules, that a module imports anywhere in it: in functions and for types, too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names & known() or {node.module}
    return frozenset(found)


@pytest.mark.parametrize("path", modules("emulator"), ids=lambda path: str(path.relative_to(ROOT)))
def test_rooms_import_only_rooms_before_them(path: Path) -> None:
    parts = path.relative_to(ROOT / "emulator").parts
    for name in imports(path):
        top, _, rest = name.partition(".")
        assert top not in {"nodes", "topologies", "scenarios"}, f"{path}: the machine knows no {top}"
        if top == "emulator" and len(parts) > 1 and rest:
            room, target = parts[0], rest.split(".")[0]
            assert ROOMS.index(target) <= ROOMS.index(room), f"{path}: {room} comes before {target}"


@pytest.mark.parametrize("folder", DOORS)
def test_packages_import_only_their_doors(folder: str) -> None:
    for path in modules(folder):
        doors = (folder, *DOORS[folder], *(FIGURES if path.name == "figures.py" else ()))
        for name in imports(path):
            if name.split(".")[0] in FOLDERS:
                assert any(f"{name}.".startswith(f"{door}.") for door in doors), f"{path} imports {name}"


def test_there_is_no_circle_of_imports() -> None:
    graph = nx.DiGraph(
        (dotted(path), name)
        for folder in FOLDERS
        for path in modules(folder)
        for name in imports(path)
        if name in known() and name != dotted(path)
    )
    assert [sorted(circle) for circle in nx.strongly_connected_components(graph) if len(circle) > 1] == []


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
    for folder in FOLDERS:
        for path in sorted(path for kind in ("*.py", "*.c", "*.h") for path in (ROOT / folder).rglob(kind)):
            text = path.read_text()
            named = re.findall(r"\b(?:docs|emulator|nodes|topologies|scenarios)/[\w./-]*\w\.(?:md|py|toml|c|h)\b", text)
            for name in named:
                assert (ROOT / name).exists(), f"{path.relative_to(ROOT)} names {name}, which is not there"
            absent = re.findall(r"(?i)\b(?:our specification|test plan|specs/[\w-]+)\b", text)
            assert not absent, f"{path.relative_to(ROOT)} refers to {absent[0]!r}, which is not in the repository"


def test_every_module_says_what_it_is() -> None:
    for folder in FOLDERS:
        for path in modules(folder):
            tree = ast.parse(path.read_text())
            assert not tree.body or ast.get_docstring(tree), f"{path.relative_to(ROOT)} opens with no docstring"


def test_cores_take_neither_time_nor_randomness() -> None:
    """Time is passed in. Random numbers come from a stream that is passed in, or that is named and seeded."""
    for path in modules("nodes"):
        name = str(path.relative_to(ROOT))
        forbidden = {module for module in imports(path) if module.split(".")[0] in CLOCKS}
        assert not forbidden or name in THIN, f"{name} imports {forbidden}"
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                call = ast.unparse(node.func)
                nameless = call in ("Random", "random.Random") and not node.args
                of_module = call.rpartition(".")[0] in ("random", "os", "np.random") and call.split(".")[-1] in CHANCE
                assert not nameless, f"{name}:{node.lineno} makes a stream without a name"
                assert not of_module, f"{name}:{node.lineno} takes a random number from nowhere"


def test_thin_modules_of_nodes_are_there() -> None:
    assert [name for name in sorted(THIN) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("kind", ["unit", "property", "netns"])
def test_tests_lie_as_what_they_test(kind: str) -> None:
    """Folders of tests are rooms, or packages of protocols, topologies and scenarios; docs/ is about the pages."""
    folders = {path.parent.relative_to(ROOT / "tests" / kind) for path in (ROOT / "tests" / kind).rglob("test_*.py")}
    for folder in folders - {Path(), Path("docs")}:
        assert str(folder) in ROOMS or (folder.parts[0] in FOLDERS[1:] and (ROOT / folder).is_dir()), folder

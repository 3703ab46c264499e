"""docs/sdk.md: every public name of the SDK is on the page and no other, its blocks run, and nodes use nothing else."""

from __future__ import annotations

import ast
import asyncio
import importlib
import pkgutil
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sdk_net import Records, context, until

import emulator.sdk
from emulator.scenario import load
from emulator.sdk.node import Node

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "sdk.md"
TEXT = PAGE.read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.S | re.M)
MODULES = [
    importlib.import_module(found.name) for found in pkgutil.walk_packages(emulator.sdk.__path__, "emulator.sdk.")
]
PUBLIC = [module for module in MODULES if hasattr(module, "__all__")]


def section(module: ModuleType) -> str:
    """The part of the page that a module belongs to: its heading names the module or the package around it."""
    name = module.__name__ if module.__name__.count(".") == 2 else module.__name__.rpartition(".")[0]
    parts = re.split(r"^## ", TEXT, flags=re.M)
    found = [part for part in parts if name in re.findall(r"[\w.]+", part.partition("\n")[0])]
    assert len(found) == 1, f"{name}: {len(found)} sections in {PAGE.name}"
    return found[0]


def listed(part: str) -> set[str]:
    return set(re.findall(r"^\| `(\w+)` \|", part, re.M))


@pytest.mark.parametrize("module", PUBLIC, ids=lambda module: module.__name__)
def test_every_public_name_is_on_the_page(module: ModuleType) -> None:
    missing = set(module.__all__) - listed(section(module))
    assert not missing, f"{module.__name__} exports names that {PAGE.name} does not list: {', '.join(sorted(missing))}"
    assert all(hasattr(module, name) for name in module.__all__)


def test_the_page_lists_nothing_else() -> None:
    assert listed(TEXT) == {name for module in PUBLIC for name in module.__all__}


def test_each_section_says_how_stable_it_is() -> None:
    for module in PUBLIC:
        assert re.search(r"^(Stable|Provisional)\. ", section(module), re.M), module.__name__


@pytest.mark.parametrize("folder", ["nodes", "topologies", "scenarios"])
def test_packages_import_public_names_only(folder: str) -> None:
    public = {module.__name__: set(module.__all__) for module in PUBLIC}
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("emulator.sdk"):
                hidden = {alias.name for alias in node.names} - public.get(node.module or "", set())
                assert not hidden, f"{path.relative_to(ROOT)} imports {', '.join(hidden)} of {node.module}"


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_the_blocks_run(number: int) -> None:
    module = ModuleType(f"block_{number}")
    sys.modules[module.__name__] = module  # where the types of fields are looked up
    try:
        exec(compile(BLOCKS[number], f"{PAGE.name}, block {number}", "exec"), module.__dict__)
    finally:
        del sys.modules[module.__name__]


def program(name: str) -> Any:
    """A program of the page, by the name of its class."""
    (block,) = [block for block in BLOCKS if f"class {name}(Node)" in block]
    found: dict[str, Any] = {}
    exec(compile(block, f"{PAGE.name}, {name}", "exec"), found)
    return found[name]


async def play(name: str, told: Records, done: Any) -> None:
    """The program on three nodes, until `done()`, as a run would play it."""
    contexts = [context(each, told) for each in "abc"]
    nodes: list[Node] = [program(name)(None, each) for each in contexts]
    for node in nodes:
        await node.setup()
    running = [asyncio.ensure_future(node.run()) for node in nodes]
    await until(lambda: done() or any(task.done() for task in running))
    for each in contexts:
        each.stopping.set()
    await asyncio.gather(*running)
    for node, each in zip(nodes, contexts, strict=True):
        await node.close()
        await each.exit_stack.aclose()


def test_six_lines_measure_delays() -> None:
    told = Records()
    asyncio.run(play("Beacon", told, lambda: len(told.samples) == 6))
    assert {name for name, _, _ in told.samples} == {"owd_s"}
    assert all(-0.001 < value < 5 for _, value, _ in told.samples)
    (block,) = [block for block in BLOCKS if block.startswith("# beacon.py")]
    assert len([line for line in block.partition("class Beacon(Node):\n")[2].splitlines() if line]) == 6


def test_streams_echo() -> None:
    told = Records()
    asyncio.run(play("Echo", told, lambda: len(told.events) == 2))
    assert told.events == [("echo", {"peer": peer, "text": "hello"}) for peer in "bc"]


def test_links_talk() -> None:
    told = Records()
    asyncio.run(play("Talk", told, lambda: len(told.events) == 6))
    assert {(fields["peer"], fields["text"]) for _, fields in told.events} == {(name, name) for name in "abc"}


def test_the_scenario_of_the_page_is_sound(tmp_path: Path) -> None:
    (toml,) = re.findall(r"^```toml\n# beacon.toml\n(.*?)^```$", TEXT, re.S | re.M)
    (block,) = [block for block in BLOCKS if block.startswith("# beacon.py")]
    (tmp_path / "beacon.py").write_text(block)
    (tmp_path / "beacon.toml").write_text(toml)
    assert load(str(tmp_path / "beacon.toml")).programs[0].name == "beacon"

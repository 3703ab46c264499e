"""What protocol packages say of themselves: the names lead somewhere, and every program of ours says what it speaks."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from emulator.sdk.node import Node
from emulator.sdk.protocol import Panel, Protocol, installed, load, protocol_of
from emulator.sdk.wire import Dissector

NODES = Path(__file__).parents[3] / "nodes"
PROTOCOLS = {protocol.name: protocol for protocol in installed() if protocol.panel.startswith("nodes.")}

PLAIN_HTTP = {"ibc", "xroute"}  # protocols that Wireshark knows without us
STANDS_ON = {"xroute": "ibc"}  # packages, and those whose programs theirs are made of


def programs() -> list[type[Node]]:
    """All subclasses of Node that our packages define and that speak a protocol of ours: clients of other people's
    software, and watchers, speak none."""
    found = []
    for path in sorted(NODES.rglob("*.py")):
        if "Node" in path.read_text():
            module = importlib.import_module(".".join(path.relative_to(NODES.parent).with_suffix("").parts))
            found += [each for each in vars(module).values() if isinstance(each, type) and issubclass(each, Node)]
    return [program for program in dict.fromkeys(found) if program.protocol]


def test_all_packages_with_programs_are_listed() -> None:
    assert sorted(PROTOCOLS) == sorted({program.__module__.split(".")[1] for program in programs()})


@pytest.mark.parametrize("program", programs(), ids=lambda program: program.__name__)
def test_programs_say_what_they_speak(program: type[Node]) -> None:
    package = program.__module__.split(".")[1]
    assert protocol_of(f"{program.__module__}:{program.__qualname__}") is PROTOCOLS[package]


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=lambda protocol: protocol.name)
def test_names_lead_somewhere(protocol: Protocol) -> None:
    assert issubclass(load(protocol.panel), Panel)
    assert callable(load(protocol.figures))
    if protocol.dissectors or protocol.name not in PLAIN_HTTP:
        described = load(protocol.dissectors)()
        assert described
        assert all(isinstance(each, Dissector) for each in described)


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=lambda protocol: protocol.name)
def test_quiet_events_are_events_of_the_package(protocol: Protocol) -> None:
    packages = (NODES / name for name in (protocol.name, STANDS_ON.get(protocol.name)) if name)
    paths = [path for package in packages for path in package.rglob("*.py")]
    sources = "".join(path.read_text() for path in paths if path.name not in ("protocol.py", "panel.py"))
    unknown = [kind for kind in protocol.quiet if not re.search(rf'emit\(\s*"{kind}"', sources)]
    assert not unknown

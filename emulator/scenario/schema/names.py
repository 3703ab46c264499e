"""Names that a scenario uses, against the network that it builds: each must match something.

Invariant: every glob that matches nothing is one problem at its own place in the file, with the nearest name.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from emulator.model.errors import Problem
from emulator.model.names import matching
from emulator.model.verbs import VERBS
from emulator.scenario.schema.checks import Finding, choices
from emulator.scenario.schema.cluster import names_program
from emulator.scenario.schema.filters import TESTS, tests
from emulator.scenario.schema.filters import parse as parse_filter
from emulator.scenario.schema.models import Scenario
from emulator.scenario.toml.spans import Path


def check_names(scenario: Scenario, nodes: list[str], ends: list[str], live: list[str] | None = None) -> list[Problem]:
    """Names and globs of programs, actions, [cluster] and capture that match nothing in the built network.

    `nodes` and `ends` ("node:port") are all of them, `live` the nodes that programs and commands can run on.
    """
    return [
        scenario.problem(path, f"{glob!r}, which matches nothing", expected)
        for path, glob, expected in _unmatched(scenario, nodes, ends, nodes if live is None else live)
    ]


def _unmatched(scenario: Scenario, nodes: list[str], ends: list[str], live: list[str]) -> Iterator[Finding]:
    """Each glob of the scenario that matches none of the nodes, none of the link ends, or no live node."""
    places: list[tuple[Path, tuple[str, ...], list[str], str]] = []
    for index, program in enumerate(scenario.programs):
        places.append((("program", index, "nodes"), program.nodes, live, "live node"))
    places += [(("host", index, "nodes"), host.nodes, live, "live node") for index, host in enumerate(scenario.hosts)]
    places += [(("file", index, "nodes"), file.nodes, live, "live node") for index, file in enumerate(scenario.files)]
    for index, action in enumerate(scenario.actions):
        hosted = VERBS[action.do].acts_on == "programs"
        names, noun = (live, "live node") if hosted else (nodes, "node")
        places.append((("action", index, "nodes"), action.nodes or (), names, noun))
        places.append((("action", index, "links"), action.links or (), ends, "link end"))
        for group, globs in enumerate(action.groups or ()):
            places.append((("action", index, "groups", group), globs, nodes, "node"))
    for key in ("together", "apart"):
        for group, globs in enumerate(getattr(scenario.cluster, key)):
            places.append((("cluster", key, group), globs, nodes, "node"))
    for index, load in enumerate(scenario.cluster.load):
        places.append((("cluster", "load", index, "from"), load.senders, live, "live node"))
        places.append((("cluster", "load", index, "to"), load.receivers, live, "live node"))
    places.append((("capture", "links"), scenario.capture.links, [*ends, *nodes], "link end or a node"))
    for path, globs, names, noun in places:
        for number, glob in enumerate(globs):
            if not matching((glob,), names):
                yield (*path, number), glob, f"the name of a {noun}, or a glob that matches one{choices(glob, names)}"
    for glob in scenario.cluster.program_cpu:
        if not any(names_program(glob, program) for program in scenario.programs):
            known = [program.name for program in scenario.programs]
            expected = f"the name or the `run` of a program, or a glob that matches one{choices(glob, known)}"
            yield ("cluster", "program_cpu", glob), glob, expected
    for kind, value in tests(parse_filter(scenario.capture.filter)) if scenario.capture.filter else ():
        names = ends if kind == "link" else nodes
        if kind in ("host", "node", "link") and not matching((value,), names) and not _is_address(value):
            yield ("capture", "filter"), f"{kind} {value}", f"{TESTS[kind]}{choices(value, names)}"


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True

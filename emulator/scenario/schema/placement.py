"""What hosts and programs ask of each other, against the network: files in places that a node may write to, and images.

Invariant: what passes here can be made on each of its nodes, as far as the scenario itself can tell.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from emulator.model.errors import Problem
from emulator.model.names import matching
from emulator.scenario.schema.checks import Finding
from emulator.scenario.schema.host import Host, host_of
from emulator.scenario.schema.models import Scenario

if TYPE_CHECKING:
    from emulator.model.network import Network


def check_placement(scenario: Scenario, network: Network) -> list[Problem]:
    """Files outside a node's own folders, and programs that do not fit the image of their node or want one."""
    live = [node.name for number in network.live if not (node := network.nodes[number]).bridge]
    hosts = {node: host_of(scenario.hosts, node) for node in live}
    found = [*_files(scenario, hosts), *_hosts(scenario, hosts), *_programs(scenario, hosts)]
    return [scenario.problem(*each) for each in found]


def _files(scenario: Scenario, hosts: dict[str, Host | None]) -> Iterator[Finding]:
    for index, file in enumerate(scenario.files):
        path = PurePosixPath(file.path)
        for node in matching(file.nodes, hosts):
            host = hosts[node]
            if not path.is_absolute() or (host is not None and host.image is not None):
                continue
            own = [PurePosixPath("/tmp")]
            own += [PurePosixPath(folder.path) for folder in (host.private or () if host is not None else ())]
            if not any(path.is_relative_to(folder) for folder in own):
                expected = f'a path in a private folder of its nodes, such as `private = ["{path.parent}"]` in [[host]]'
                yield ("file", index, "path"), f"{file.path!r}, which on {node} is the machine's", expected
                break


def _hosts(scenario: Scenario, hosts: dict[str, Host | None]) -> Iterator[Finding]:
    for index, table in enumerate(scenario.hosts):
        for key in ("user", "working_folder"):
            given = getattr(table, key) is not None
            bare = next(
                (node for node in matching(table.nodes, hosts) if not getattr(hosts[node], "image", None)), None
            )
            if given and bare is not None:
                yield ("host", index, key), f"`{key}`, and {bare} without an image", "nodes that have an image"


def _programs(scenario: Scenario, hosts: dict[str, Host | None]) -> Iterator[Finding]:
    for index, program in enumerate(scenario.programs):
        for node in matching(program.nodes, hosts):
            host = hosts[node]
            image = host.image if host is not None else None
            if image and program.run:
                found = f"{program.run!r} on {node}, which has the image {image!r}"
                yield ("program", index, "run"), found, "a `command`; Python programs run on nodes without an image"
                break
            if not image and (program.entry_point is not None or not (program.run or program.command)):
                key = "`entry_point`" if program.entry_point is not None else "neither `run` nor `command`"
                yield ("program", index), f"{key}, and {node} without an image", "nodes whose [[host]] has an image"
                break

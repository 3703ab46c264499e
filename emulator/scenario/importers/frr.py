"""Nodes of the kind frr without an image: the daemons of the machine's own FRR, in folders of the node.

Invariant: daemons start in an order in which each finds zebra, and the node's /etc/frr/frr.conf is loaded when all of
them are up, as FRR's own start script does.
"""

from __future__ import annotations

import re
from typing import Any

from emulator.scenario.importers.draft import Draft

FOLDER = "/usr/lib/frr"
PRIVATE = ("/run", "/var/tmp", "/var/log")
DAEMONS = ("mgmtd", "zebra", "staticd", "bgpd", "ospfd", "ospf6d", "ripd", "ripngd", "isisd", "pimd", "ldpd", "nhrpd",
           "eigrpd", "babeld", "sharpd", "pbrd", "bfdd", "fabricd", "vrrpd")  # fmt: skip
_ALWAYS = ("zebra", "staticd")
_CHOSEN = re.compile(r"^\s*([a-z0-9]+)\s*=\s*yes\s*$", re.MULTILINE)


def add_frr(draft: Draft, nodes: list[str], line: int) -> None:
    """Add the daemons of the nodes; which ones, their own /etc/frr/daemons says."""
    folders: list[Any] = [{"path": "/etc/frr", "from": "host"}, *PRIVATE]
    own = {node: {"/etc/frr"} for node in nodes}
    for host in draft.data.get("host", ()):
        for node in set(host["nodes"]) & set(nodes):
            given = [each if isinstance(each, dict) else {"path": each} for each in host.get("private", ())]
            own[node] |= {each["path"] for each in given}
            paths = {each["path"] for each in given}
            host["private"] = given + [
                each for each in folders if (each if isinstance(each, str) else each["path"]) not in paths
            ]
    plain = [node for node in nodes if not any(node in each["nodes"] for each in draft.data.get("host", ()))]
    if plain:
        draft.put("host", {"nodes": (plain, line), "private": (folders, line)}, line)
    chosen: dict[str, list[str]] = {name: [] for name in DAEMONS}
    configured = []
    for node in nodes:
        files = {each["path"]: each["content"] for each in draft.data.get("file", ()) if node in each["nodes"]}
        asked = {*_ALWAYS, *_CHOSEN.findall(files.get("/etc/frr/daemons", ""))}
        for name in DAEMONS:
            if name in asked:
                chosen[name].append(node)
        if "/etc/frr/frr.conf" in files:
            configured.append(node)
    for name, places in chosen.items():
        if not places:
            continue
        program: dict[str, Any] = {
            "name": f"frr-{name}", "nodes": places, "command": [f"{FOLDER}/{name}", "-A", "127.0.0.1"],
            "ready": {"command": ["vtysh", "-d", name, "-c", "show version"]},
        }  # fmt: skip
        if name != "zebra":
            program["after"] = ["frr-zebra"]
        draft.put("program", {key: (value, line) for key, value in program.items()}, line)
    if configured:
        action = {"at": "ready", "do": "exec", "nodes": configured, "command": ["vtysh", "-b"]}
        draft.put("action", {key: (value, line) for key, value in action.items()}, line)

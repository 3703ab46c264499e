"""containerlab topologies: nodes of the kinds linux and frr, joined by Ethernet links with the interfaces of the file.

Invariant: nodes have no address and no route but what their own programs and `exec` commands give them, as in
containerlab; the network for management, which containerlab adds, is not there. Top-level `x-skyloom` holds tables and
keys of the scenario; `x-skyloom` of a link its `delay`, `rate`, `loss` and `queue`.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emulator.scenario.importers.binds import add_bind
from emulator.scenario.importers.draft import NODE_NAME, Draft, escaped
from emulator.scenario.importers.frr import add_frr
from emulator.scenario.importers.images import load_image
from emulator.scenario.importers.options import ImportOptions
from emulator.scenario.importers.variables import Variables
from emulator.scenario.importers.yaml_tree import Item

MOST_LINKS = 5000
KINDS = ("linux", "frr")

_KEYS = ("kind", "image", "exec", "env", "binds", "cmd", "entrypoint", "startup-delay", "cpu", "memory", "sysctls")
_IGNORED = {
    "ports": "nothing is published on this machine",
    "labels": "nobody reads them here",
    "mgmt-ipv4": "there is no network for management",
    "mgmt-ipv6": "there is no network for management",
    "image-pull-policy": "nothing is pulled",
    "enforce-startup-config": "there is no startup-config",
    "position": "it is for drawings",
    "group": "it is for drawings",
    "restart-policy": "programs are not started anew",
}
_TOP = ("name", "topology")
_TOP_IGNORED = {
    "mgmt": "there is no network for management",
    "prefix": "nodes are called as in the file",
    "settings": "they are for containerlab's own certificates",
}
_LINK = ("endpoints", "mtu", "type", "vars", "labels")
_LINK_VALUES = ("delay", "rate", "loss", "queue")
_MTU = 1500  # of every interface


def read(root: Item, folder: Path, label: str, options: ImportOptions) -> Draft:
    """The scenario of a topology file in `folder`; what is wrong with it is among the draft's problems."""
    draft = Draft(label, Variables(options.environment))
    if options.wan is not None:
        draft.refuse(1, "", "`--wan` with a containerlab file, which has links of its own", "no `--wan`")
    top = draft.table(root, "")
    draft.sift(top, "", _TOP, _TOP_IGNORED, "`name` and `topology`")
    draft.data |= {"topology": "topologies.links", "routing": "none", "addresses": False}
    draft.begin(top)
    topology = draft.table(top.get("topology"), "topology")
    draft.refuse_rest(topology, "topology", ("defaults", "kinds", "nodes", "links"), "defaults, kinds, nodes and links")
    nodes = draft.table(topology.get("nodes"), "topology.nodes")
    if not nodes:
        draft.refuse(topology["nodes"].line if "nodes" in topology else 1, "topology.nodes", "no node", "at least one")
    draft.data["nodes"] = list(nodes)
    frr = [name for name, item in nodes.items() if _node(draft, topology, name, item, folder, options)]
    if frr:
        add_frr(draft, frr, nodes[frr[0]].line)
    _links(draft, topology, set(nodes))
    return draft


def _node(
    draft: Draft, topology: Mapping[str, Item], name: str, item: Item, folder: Path, options: ImportOptions
) -> bool:
    """Add a node's tables; whether it is to run the machine's FRR."""
    key = f"topology.nodes.{name}"
    if not NODE_NAME.fullmatch(name):
        draft.refuse(item.line, key, f"the name {name!r}", "letters, digits, '-' and '_', 51 at most")
        return False
    keys, kind = _merged(draft, topology, item, key)
    if kind not in KINDS:
        draft.refuse(keys["kind"].line if "kind" in keys else item.line, f"{key}.kind", repr(kind), " or ".join(KINDS))
        return False
    draft.sift(keys, key, _KEYS, _IGNORED, "a node without it: it would not do here what it says")
    image, path = load_image(draft, keys.get("image"), f"{key}.image", folder, options.images)
    host: dict[str, tuple[Any, int]] = {"nodes": ([name], item.line)}
    if path:
        host["image"] = (path, keys["image"].line)
    if (cores := draft.number(keys.get("cpu"), f"{key}.cpu")) is not None:
        host["cpu"] = (cores, keys["cpu"].line)
    if (size := draft.bytes(keys.get("memory"), f"{key}.memory")) is not None:
        host["memory"] = (f"{size} B", keys["memory"].line)
    settings = draft.pairs(keys.get("sysctls"), f"{key}.sysctls")
    if settings:
        host["sysctl"] = ({name: value or "" for name, (value, _) in settings.items()}, keys["sysctls"].line)
    private: list[Any] = []
    for number, each in enumerate(draft.elements(keys.get("binds"), f"{key}.binds")):
        _bind(draft, name, each, f"{key}.binds.{number}", folder, private, bool(path))
    if private:
        host["private"] = (private, keys["binds"].line)
    if len(host) > 1:
        draft.put("host", host, item.line)
    _program(draft, name, keys, key, item.line, image)
    _exec(draft, name, keys.get("exec"), f"{key}.exec")
    return kind == "frr" and image is None


def _exec(draft: Draft, name: str, item: Item | None, key: str) -> None:
    """One action that runs the commands in their order, each whatever came of those before it, as containerlab does;
    its status is the last one that was not 0."""
    found = [draft.words(each, f"{key}.{number}") for number, each in enumerate(draft.elements(item, key))]
    commands = [shlex.join(words) for words in found if words]
    if item is None or not commands:
        return
    text = (
        commands[0] if len(commands) == 1 else "s=0; " + "".join(f"{each} || s=$?; " for each in commands) + "exit $s"
    )
    values = {"at": "0 s", "do": "exec", "nodes": [name], "command": ["sh", "-c", escaped(text)]}
    draft.put("action", {key: (value, item.line) for key, value in values.items()}, item.line)


def _merged(
    draft: Draft, topology: Mapping[str, Item], item: Item, key: str
) -> tuple[dict[str, Item], str]:  # fmt: skip
    """The keys of a node over those of its kind over the defaults, and the kind; maps and lists of them are joined."""
    defaults = draft.table(topology.get("defaults"), "topology.defaults")
    kinds = draft.table(topology.get("kinds"), "topology.kinds")
    own = draft.table(item, key)
    kind = draft.text(own.get("kind") or defaults.get("kind"), f"{key}.kind") or "linux"
    merged: dict[str, Item] = {}
    for layer in (defaults, draft.table(kinds.get(kind), f"topology.kinds.{kind}"), own):
        for name, value in layer.items():
            before = merged.get(name)
            if before and isinstance(before.data, dict) and isinstance(value.data, dict):
                value = Item(value.line, {**before.data, **value.data})
            elif before and name == "binds" and isinstance(before.data, list) and isinstance(value.data, list):
                value = Item(value.line, [*before.data, *value.data])
            merged[name] = value
    return merged, kind


def _bind(
    draft: Draft, name: str, item: Item, key: str, folder: Path, private: list[Any], has_image: bool
) -> None:  # fmt: skip
    source, _, rest = draft.text(item, key).replace("__clabNodeName__", name).partition(":")
    target = rest.partition(":")[0]
    if not target.startswith("/"):
        draft.refuse(item.line, key, item.kind, "SOURCE:TARGET, with an absolute path in the node")
        return
    add_bind(draft, [name], folder / Path(source).expanduser(), target, private, has_image, item.line, key)


def _program(draft: Draft, name: str, keys: Mapping[str, Item], key: str, line: int, image: Any) -> None:
    """What a node runs beside `exec`: the command of its image, or of the file."""
    words = draft.words(keys.get("cmd"), f"{key}.cmd")
    entry = draft.words(keys.get("entrypoint"), f"{key}.entrypoint")
    variables = draft.pairs(keys.get("env"), f"{key}.env")
    if not (entry + words if image is None or "entrypoint" in keys else image.arguments(words)):
        if "startup-delay" in keys:
            draft.refuse(keys["startup-delay"].line, f"{key}.startup-delay", "a node without a command", "`cmd`")
        if variables:
            draft.warn(keys["env"].line, f"{key}.env", "the node runs no program of its own")
        return
    program: dict[str, tuple[Any, int]] = {
        "name": (name, line),
        "nodes": ([name], line),
    }
    if image is not None and "entrypoint" in keys:
        program["entry_point"] = ([escaped(word) for word in entry], keys["entrypoint"].line)
    elif image is None:
        words = entry + words
    if words:
        program["command"] = ([escaped(word) for word in words], (keys.get("cmd") or keys["entrypoint"]).line)
    if variables:
        values = {each: escaped(value or "") for each, (value, _) in variables.items()}
        program["environment"] = (values, keys["env"].line)
    if delay_s := draft.whole(keys.get("startup-delay"), f"{key}.startup-delay", 0, 86400):
        program["start"] = (f"{delay_s} s", keys["startup-delay"].line)
    draft.put("program", program, line)


def _links(draft: Draft, topology: Mapping[str, Item], nodes: set[str]) -> None:
    links = draft.elements(topology.get("links"), "topology.links")
    if len(links) > MOST_LINKS:
        draft.refuse(topology["links"].line, "topology.links", f"{len(links)} links", f"{MOST_LINKS} at most")
    taken: dict[tuple[str, str], int] = {}
    for number, item in enumerate(links[:MOST_LINKS]):
        key = f"topology.links.{number}"
        link = draft.table(item, key)
        draft.refuse_rest(link, key, _LINK, "`endpoints` and `mtu`")
        if (kind := draft.text(link.get("type"), f"{key}.type")) not in ("", "veth"):
            draft.refuse(link["type"].line, f"{key}.type", repr(kind), "'veth'")
            continue
        mtu = draft.whole(link.get("mtu"), f"{key}.mtu", 68, 65535)
        if mtu is not None and mtu < _MTU:
            draft.refuse(link["mtu"].line, f"{key}.mtu", f"{mtu} bytes", f"{_MTU} or more: interfaces have {_MTU}")
        elif mtu is not None and mtu != _MTU:
            draft.warn(link["mtu"].line, f"{key}.mtu", f"interfaces have {_MTU} bytes")
        ends = [_endpoint(draft, each, f"{key}.endpoints.{side}", nodes)
                for side, each in enumerate(draft.elements(link.get("endpoints"), f"{key}.endpoints"))]  # fmt: skip
        if len(ends) != 2:
            draft.refuse(item.line, f"{key}.endpoints", f"{len(ends)} endpoints", "two: [a:eth1, b:eth1]")
            continue
        for node, port in ends:
            if node and (node, port) in taken:
                found = f"{node}:{port} again, first in line {taken[node, port]}"
                draft.refuse(item.line, f"{key}.endpoints", found, "each interface once")
            taken[node, port] = item.line
        own = draft.table(link.get("x-skyloom"), f"{key}.x-skyloom")
        draft.refuse_rest(own, f"{key}.x-skyloom", _LINK_VALUES, ", ".join(_LINK_VALUES))
        (a, a_port), (b, b_port) = ends
        values: dict[str, Any] = {"a": a, "b": b, "a_port": a_port, "b_port": b_port, "ethernet": True}
        values |= {name: draft.text(each, f"{key}.x-skyloom.{name}") for name, each in own.items()}
        draft.put("link", {name: (value, item.line) for name, value in values.items()}, item.line)


def _endpoint(draft: Draft, item: Item, key: str, nodes: set[str]) -> tuple[str, str]:
    """Node and interface of one end, in the brief or the extended form."""
    if isinstance(item.data, dict):
        draft.refuse_rest(item.data, key, ("node", "interface"), "`node` and `interface`")
        node, port = (draft.text(item.data.get(name), f"{key}.{name}") for name in ("node", "interface"))
    else:
        node, _, port = draft.text(item, key).partition(":")
    if node not in nodes or not port:
        draft.refuse(item.line, key, item.kind, f"NODE:INTERFACE, with a node of {', '.join(sorted(nodes))}"[:200])
        return "", ""
    return node, port

"""docker-compose files: services become programs on nodes that are spread over the regions of a map.

Invariant: nodes are called as their services (with replicas web-1, web-2, …), so that programs find each other by the
names of the file. Each node is in one region: round robin in the order of the file, or as `x-skyloom: {region: …}` of
its service says. Top-level `x-skyloom` holds tables and keys of the scenario, such as `duration`, `action` or `expect`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from emulator.scenario.importers.compose_service import IGNORED, KNOWN, Service, add_service
from emulator.scenario.importers.draft import NODE_NAME, Draft
from emulator.scenario.importers.options import ImportOptions
from emulator.scenario.importers.variables import Variables, read_file
from emulator.scenario.importers.yaml_tree import Item

MOST_NODES = 1000
DEFAULT_MAP = "five-regions"

_TOP_IGNORED = {
    "version": "Compose does not look at it either",
    "secrets": "no service may use them here",
    "configs": "no service may use them here",
}
_REACHED = "every service reaches every other over the map; networks are names only"
_CONDITIONS = ("service_started", "service_healthy")


def read(root: Item, folder: Path, label: str, options: ImportOptions) -> Draft:
    """The scenario of a compose file in `folder`; what is wrong with it is among the draft's problems."""
    draft = Draft(label)
    draft.variables = Variables(_values(draft, folder, options.environment))
    top = draft.table(root, "")
    _top_level(draft, top)
    services = _services(draft, top)
    _wan(draft, top, services, options)
    volumes = draft.table(top.get("volumes"), "volumes")
    _named_volumes(draft, volumes)
    for service in services:
        after = _dependencies(draft, service, [each.name for each in services])
        add_service(draft, service, after, volumes, folder, options.images, options.environment)
    _refuse_circles(draft, services)
    _networks(draft, top, services)
    for name in sorted(draft.variables.missing):
        draft.warn(1, "variables", f"${name} has no value, and is taken as empty")
    return draft


def _values(draft: Draft, folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of the environment, over those of the file .env beside the compose file."""
    from emulator.model.inputs import read_text

    file = folder / ".env"
    values: dict[str, str | None] = {}
    if file.is_file():
        try:
            values, bad = read_file(read_text(file, 1_000_000), environment)
        except (OSError, UnicodeDecodeError) as error:
            draft.refuse(1, "variables", f"{file} cannot be read ({error})", "a text file of NAME=value")
            bad = []
        for number, reason in bad:
            draft.refuse(1, "variables", f".env:{number}  {reason}", "lines NAME=value")
    return {name: value for name, value in values.items() if value is not None} | dict(environment)


def _top_level(draft: Draft, top: Mapping[str, Item]) -> None:
    expected = "a file without it: merge what it includes (docker compose config does)"
    draft.sift(top, "", ("services", "networks", "volumes", "name"), _TOP_IGNORED, expected)
    draft.begin(top)


def _services(draft: Draft, top: Mapping[str, Item]) -> list[Service]:
    found = []
    written = draft.table(top.get("services"), "services")
    for name, item in written.items():
        key = f"services.{name}"
        keys = draft.table(item, key)
        if not NODE_NAME.fullmatch(name):
            draft.refuse(item.line, key, f"the name {name!r}", "letters, digits, '-' and '_', 51 at most")
            continue
        if "profiles" in keys and draft.texts(keys["profiles"], f"{key}.profiles"):
            draft.warn(item.line, key, "is left out, as Compose leaves out what has `profiles`")
            continue
        draft.sift(keys, key, KNOWN, IGNORED, "a service without it: it would not do here what it says")
        found.append(Service(name, item.line, keys, _nodes(draft, name, keys)))
    if not found and not draft.problems:
        line = top["services"].line if "services" in top else 1
        draft.refuse(line, "services", "no service", "at least one below `services`")
    names = [node for service in found for node in service.nodes]
    if len(names) > MOST_NODES:
        draft.refuse(1, "services", f"{len(names)} nodes", f"{MOST_NODES} at most")
    for service in found:
        if twice := [node for node in service.nodes if names.count(node) > 1][:1]:
            draft.refuse(service.line, service.key, f"two nodes called {twice[0]!r}", "names that differ")
    return found


def _nodes(draft: Draft, name: str, keys: Mapping[str, Item]) -> tuple[str, ...]:
    """A node, or one a replica."""
    key = f"services.{name}"
    deploy = draft.table(keys.get("deploy"), f"{key}.deploy")
    counts = [draft.whole(keys.get("scale"), f"{key}.scale", 0, MOST_NODES),
              draft.whole(deploy.get("replicas"), f"{key}.deploy.replicas", 0, MOST_NODES)]  # fmt: skip
    count = next((each for each in counts if each is not None), 1)
    if count == 1:
        return (name,)
    line = (keys.get("scale") or keys["deploy"]).line
    draft.warn(line, key, f"its nodes are {name}-1 … {name}-{count}; {name!r} alone is no name of a node")
    return tuple(f"{name}-{number}" for number in range(1, count + 1))


def _wan(draft: Draft, top: Mapping[str, Item], services: list[Service], options: ImportOptions) -> None:
    """Choose the map, and place each node."""
    draft.data["topology"] = "topologies.wan"
    written = draft.data.get("wan")
    wan = draft.data["wan"] = dict(written) if isinstance(written, dict) else {}
    if options.wan is not None:
        wan = {name: value for name, value in wan.items() if name not in ("map", "matrix")}
        if "/" in options.wan or options.wan.endswith(".csv") or Path(options.wan).is_file():
            wan["matrix"] = str(Path(options.wan).absolute())
        else:
            wan["map"] = options.wan
        draft.data["wan"] = wan
        draft.options |= {("wan", "map"): "--wan", ("wan", "matrix"): "--wan"}
    elif not {"map", "matrix"} & set(wan):
        expected = f"`--wan MAP` (such as `--wan {DEFAULT_MAP}`), or x-skyloom: {{wan: {{map: {DEFAULT_MAP}}}}}"
        draft.refuse(1, "", "services, and no map to spread them over", expected)
    places: dict[str, str] = {}
    for service in services:
        own = draft.table(service.keys.get("x-skyloom"), f"{service.key}.x-skyloom")
        draft.refuse_rest(own, f"{service.key}.x-skyloom", ("region",), "`region` alone")
        regions = draft.texts(own.get("region"), f"{service.key}.x-skyloom.region") if "region" in own else [""]
        line = own["region"].line if "region" in own else service.line
        for number, node in enumerate(service.nodes):
            places[node] = regions[number % len(regions)] if regions else ""
            draft.lines["wan", "places", node] = line
    wan["places"] = places


def _dependencies(draft: Draft, service: Service, names: list[str]) -> list[str]:
    """The services that must be ready before this one."""
    item, key = service.keys.get("depends_on"), f"{service.key}.depends_on"
    after = []
    if item is not None and isinstance(item.data, dict):
        for name, each in item.data.items():
            keys = draft.table(each, f"{key}.{name}")
            draft.refuse_rest(keys, f"{key}.{name}", ("condition", "required", "restart"), "`condition`, `required`")
            condition = draft.text(keys.get("condition"), f"{key}.{name}.condition") or "service_started"
            if condition not in _CONDITIONS:
                found, expected = f"the condition {condition!r}", " or ".join(_CONDITIONS)
                draft.refuse(each.line, f"{key}.{name}.condition", found, expected)
            if keys.get("required") is None or keys["required"].data is not False or name in names:
                after.append((name, each.line))
    else:
        after = [(draft.text(each, key), each.line) for each in draft.elements(item, key)]
    for name, line in after:
        if name not in names:
            draft.refuse(line, key, f"the service {name!r}", f"one of {', '.join(names)}"[:200])
    return [name for name, _ in after]


def _refuse_circles(draft: Draft, services: list[Service]) -> None:
    """Every service must be able to start some time."""
    after = {each["name"]: list(each.get("after", ())) for each in draft.data.get("program", ())}
    while free := [name for name, before in after.items() if not any(each in after for each in before)]:
        for name in free:
            del after[name]
    for service in services:
        if service.name in after:
            line = service.keys["depends_on"].line if "depends_on" in service.keys else service.line
            found = f"services that wait for each other: {', '.join(after)}"[:200]
            draft.refuse(line, f"{service.key}.depends_on", found, "an order in which they can start")
            return


def _named_volumes(draft: Draft, volumes: Mapping[str, Item]) -> None:
    for name, item in volumes.items():
        for key, value in draft.table(item, f"volumes.{name}").items():
            draft.warn(value.line, f"volumes.{name}.{key}", "a named volume is a private folder of its node")


def _networks(draft: Draft, top: Mapping[str, Item], services: list[Service]) -> None:
    """Names of networks say nothing here, so say that; addresses and aliases are refused."""
    declared = draft.table(top.get("networks"), "networks")
    used: dict[str, set[str]] = {}
    for service in services:
        item, key = service.keys.get("networks"), f"{service.key}.networks"
        used[service.name] = {"default"}
        if item is None or item.data is None:
            continue
        entries = item.data if isinstance(item.data, dict) else dict.fromkeys(draft.texts(item, key), item)
        used[service.name] = set(entries)
        for name, each in entries.items():
            if name not in declared and name != "default":
                draft.refuse(each.line, f"{key}.{name}", f"the network {name!r}", "one that `networks` declares")
            settings = draft.table(each, f"{key}.{name}") if isinstance(item.data, dict) else {}
            expected = "a network without it: addresses come from the scenario, names from the services"
            draft.refuse_rest(settings, f"{key}.{name}", ("priority",), expected)
    names = list(used)
    apart = next(((a, b) for a in names for b in names if not used[a] & used[b]), None)
    if declared:
        line = top["networks"].line
        more = f", also {apart[0]} and {apart[1]}, which share none" if apart else ""
        draft.warn(line, "networks", _REACHED + more)

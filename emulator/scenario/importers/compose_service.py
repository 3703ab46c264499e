"""One service of a compose file as the tables of its nodes: [[host]], [[file]] and [[program]].

Invariant: braces of the file are braces for the program: nothing of a compose file is taken for a placeholder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emulator.model.units import show
from emulator.scenario.importers.binds import add_bind
from emulator.scenario.importers.draft import Draft, escaped
from emulator.scenario.importers.images import load_image
from emulator.scenario.importers.variables import read_file
from emulator.scenario.importers.yaml_tree import Item

if TYPE_CHECKING:
    from emulator.fabric.image import Image

MOST_RESTARTS = 10  # of `restart: always`: a run is bounded, and so is what it repeats

KNOWN = (
    "image", "build", "command", "entrypoint", "environment", "env_file", "depends_on", "healthcheck", "restart",
    "volumes", "tmpfs", "working_dir", "user", "hostname", "networks", "deploy", "scale", "ulimits", "sysctls",
    "read_only", "cpus", "mem_limit", "profiles", "x-skyloom-command",
)  # fmt: skip
_PRIVILEGE = "programs may do in their node whatever its owner may"
IGNORED = {
    "ports": "nothing is published on this machine; nodes reach all ports of each other",
    "expose": "nodes reach all ports of each other",
    "container_name": "nodes are called as their services",
    "labels": "nobody reads them here",
    "annotations": "nobody reads them here",
    "logging": "output goes into the run folder; see `skyloom logs`",
    "pull_policy": "nothing is pulled",
    "platform": "the image says its architecture, which is checked",
    "attach": "output goes into the run folder",
    "stdin_open": "programs get no input",
    "tty": "programs get no terminal",
    "init": "the run reaps processes itself",
    "develop": "nothing is built or watched",
    "stop_grace_period": "programs have the grace of the run",
    "stop_signal": "programs are stopped by SIGTERM",
    "cap_add": _PRIVILEGE,
    "privileged": _PRIVILEGE,
    "shm_size": "/dev/shm has no bound of its own",
    "oom_score_adj": "the machine's memory is not the experiment",
    "mem_reservation": "memory is bounded, not reserved",
    "links": "services find each other by their names",
}
_DEPLOY = ("replicas", "resources", "mode", "restart_policy")
_DEPLOY_IGNORED = dict.fromkeys(
    ("labels", "placement", "update_config", "rollback_config", "endpoint_mode"), "has a meaning in a swarm only"
)


@dataclass(frozen=True, slots=True)
class Service:
    """A service of the file, and its nodes."""

    name: str
    line: int
    keys: Mapping[str, Item]
    nodes: tuple[str, ...]

    @property
    def key(self) -> str:
        return f"services.{self.name}"


def add_service(
    draft: Draft, service: Service, after: list[str], volumes: Mapping[str, Item], folder: Path,
    images: Mapping[str, str], environment: Mapping[str, str],
) -> None:  # fmt: skip
    """Add the tables of a service to the draft."""
    key, keys, line = service.key, service.keys, service.line
    if not service.nodes:
        return
    image, path = _image(draft, service, folder, images)
    host: dict[str, tuple[Any, int]] = {"nodes": (list(service.nodes), line)}
    if path:
        host["image"] = (path, keys["image"].line)
    _limits(draft, service, host)
    private = _volumes(draft, service, volumes, folder, image is not None) + _account(draft, service, image, host)
    if private:
        line_of = next(keys[name].line for name in ("volumes", "tmpfs", "working_dir") if name in keys)
        host["private"] = (private, line_of)
    if "read_only" in keys and keys["read_only"].data is True:
        host["read_only"] = (True, keys["read_only"].line)
    if "hostname" in keys and (name := draft.text(keys["hostname"], f"{key}.hostname")) not in service.nodes:
        found = f"the host name {name!r}"
        draft.refuse(keys["hostname"].line, f"{key}.hostname", found, f"{service.nodes[0]!r}: nodes go by service")
    if len(host) > 1:
        draft.put("host", host, line)
    program = {
        "name": (service.name, line),
        "nodes": (list(service.nodes), line),
        **_command(draft, service, image),
        **_environment(draft, service, folder, environment, image),
        **_readiness(draft, service),
    }
    if after:
        program["after"] = (after, keys["depends_on"].line)
    if (restarts := _restarts(draft, service)) is not None:
        program["restart"] = restarts
    draft.put("program", program, line)


def _image(
    draft: Draft, service: Service, folder: Path, images: Mapping[str, str]
) -> tuple[Image | None, str]:  # fmt: skip
    """The image of a service and its path; None and "" where it runs a command of this machine."""
    keys, key = service.keys, service.key
    if "build" in keys:
        if "image" not in keys:
            found, expected = "a service to be built", f"`image`: docker build -t {service.name} …, and see `image`"
            draft.refuse(keys["build"].line, f"{key}.build", found, expected)
            return None, ""
        draft.warn(keys["build"].line, f"{key}.build", "nothing is built; `image` is taken as it is")
    if "image" not in keys:
        if "command" not in keys and "x-skyloom-command" not in keys:
            expected = "`image`, or `command` alone: a command of this machine"
            draft.refuse(service.line, key, "a service with neither `image` nor `command`", expected)
        return None, ""
    return load_image(draft, keys["image"], f"{key}.image", folder, images)


def _command(draft: Draft, service: Service, image: Image | None) -> dict[str, tuple[Any, int]]:
    """The words that start the service; what the file leaves open is the image's, as in Compose."""
    keys, key = service.keys, service.key
    chosen = "x-skyloom-command" if "x-skyloom-command" in keys else "command"
    words = [escaped(word) for word in draft.words(keys.get(chosen), f"{key}.{chosen}")]
    entry = [escaped(word) for word in draft.words(keys.get("entrypoint"), f"{key}.entrypoint")]
    line = next((keys[each].line for each in (chosen, "entrypoint", "image") if each in keys), service.line)
    if image is None:
        if not entry + words and "image" not in keys:
            draft.refuse(line, f"{key}.{chosen}", "no word", "a command with its arguments")
        return {"command": (entry + words or None, line)}
    found: dict[str, tuple[Any, int]] = {"command": (words or None, line)}
    if "entrypoint" in keys and keys["entrypoint"].data is not None:
        found["entry_point"] = (entry, keys["entrypoint"].line)
    if not (entry if "entry_point" in found else image.arguments(words)) and not words:
        draft.refuse(keys["image"].line, f"{key}.image", "an image without a command of its own", "`command`")
    return found


def _account(draft: Draft, service: Service, image: Image | None, host: dict[str, tuple[Any, int]]) -> list[Any]:
    """User and working folder of a service with an image; returns the private folder that the latter wants."""
    keys, key = service.keys, service.key
    for name in ("user", "working_dir"):
        if name in keys and image is None:
            expected = f"no `{name}` without `image`: commands run as this machine's, in folders of their nodes"
            draft.refuse(keys[name].line, f"{key}.{name}", keys[name].kind, expected)
    if "user" in keys and image is not None and (user := draft.text(keys["user"], f"{key}.user")):
        host["user"] = (user, keys["user"].line)
    if "working_dir" not in keys or image is None:
        return []
    path = draft.text(keys["working_dir"], f"{key}.working_dir")
    if not path.startswith("/"):
        draft.refuse(keys["working_dir"].line, f"{key}.working_dir", repr(path), "an absolute path")
        return []
    host["working_folder"] = (path, keys["working_dir"].line)
    return [{"path": path, "from": "image"}] if path != "/" else []


def _environment(
    draft: Draft, service: Service, folder: Path, outer: Mapping[str, str], image: Image | None
) -> dict[str, tuple[Any, int]]:
    """Variables: of the env files in their order, then those of the service itself."""
    keys, key = service.keys, service.key
    found: dict[str, str | None] = {}
    for number, item in enumerate(_env_files(draft, service)):
        path, required = item
        where = f"{key}.env_file.{number}"
        file = folder / path
        if not file.is_file():
            if required:
                draft.refuse(keys["env_file"].line, where, f"no file {str(file)!r}", "a file of NAME=value")
            continue
        try:
            from emulator.model.inputs import read_text

            values, bad = read_file(read_text(file, 1_000_000), draft.variables.values)
        except (OSError, UnicodeDecodeError) as error:
            draft.refuse(keys["env_file"].line, where, f"{path} cannot be read ({error})", "a text file")
            continue
        for at, reason in bad:
            draft.refuse(keys["env_file"].line, where, f"{path}:{at}  {reason}", "lines NAME=value")
        found |= values
    found |= {name: value for name, (value, _) in draft.pairs(keys.get("environment"), f"{key}.environment").items()}
    filled = {name: outer.get(name) if value is None else value for name, value in found.items()}
    given = {name: escaped(value) for name, value in filled.items() if value is not None}
    for name in given:
        if not name or "=" in name or "\0" in name + given[name]:
            draft.refuse(service.line, f"{key}.environment", f"the name {name!r}", "NAME=value")
    if not given:
        return {}
    return {"environment": (given, (keys.get("environment") or keys["env_file"]).line)}


def _env_files(draft: Draft, service: Service) -> list[tuple[str, bool]]:
    """Paths of env files, and whether each must be there."""
    item, key = service.keys.get("env_file"), f"{service.key}.env_file"
    if item is None or not isinstance(item.data, list):
        return [(path, True) for path in draft.texts(item, key)]
    found = []
    for each in item.data:
        if isinstance(each.data, dict):
            draft.refuse_rest(each.data, key, ("path", "required"), "`path` and `required`")
            required = each.data.get("required")
            found.append((draft.text(each.data.get("path"), f"{key}.path"), required is None or required.data is True))
        else:
            found.append((draft.text(each, key), True))
    return found


def _readiness(draft: Draft, service: Service) -> dict[str, tuple[Any, int]]:
    """The health check as a probe; its deadline is that by which Docker would call the service unhealthy."""
    item, key = service.keys.get("healthcheck"), f"{service.key}.healthcheck"
    check = draft.table(item, key)
    known = ("test", "interval", "timeout", "retries", "start_period", "start_interval", "disable")
    draft.refuse_rest(check, key, known, "keys of a health check")
    if item is None or not check or ("disable" in check and check["disable"].data is True):
        return {}
    test = check.get("test")
    if test is None:
        draft.refuse(item.line, key, "a health check without `test`", "`test`, such as [CMD, pg_isready]")
        return {}
    words = draft.texts(test, f"{key}.test")
    if not isinstance(test.data, list):
        words = ["CMD-SHELL", *words]
    if words[:1] == ["NONE"]:
        return {}
    if words[:1] not in (["CMD"], ["CMD-SHELL"]) or len(words) < 2 or (words[0] == "CMD-SHELL" and len(words) > 2):
        draft.refuse(test.line, f"{key}.test", test.kind, "[CMD, …words], [CMD-SHELL, text], [NONE] or one text")
        return {}
    argv = words[1:] if words[0] == "CMD" else ["/bin/sh", "-c", words[1]]
    retries = draft.whole(check.get("retries"), f"{key}.retries", 1, 1000) or 3
    interval_s, timeout_s, start_s = (
        draft.seconds(check.get(name), f"{key}.{name}", default_s)
        for name, default_s in (("interval", 30.0), ("timeout", 30.0), ("start_period", 0.0))
    )
    within_s = start_s + retries * interval_s + timeout_s
    return {
        "ready": ({"command": [escaped(word) for word in argv]}, test.line),
        "ready_within": (show(max(within_s, 1.0), "duration"), item.line),
    }


def _restarts(draft: Draft, service: Service) -> tuple[int, int] | None:
    keys, key = service.keys, service.key
    policy = draft.table(draft.table(keys.get("deploy"), f"{key}.deploy").get("restart_policy"), f"{key}.deploy")
    item = keys.get("restart")
    if item is not None:
        text = draft.text(item, f"{key}.restart") if item.data is not False else "no"
        word, _, count = text.partition(":")
        if word == "no":
            return None
        if word in ("always", "unless-stopped") and not count:
            return MOST_RESTARTS, item.line
        if word == "on-failure" and (not count or count.isdecimal()):
            return min(int(count or MOST_RESTARTS), 1000), item.line
        draft.refuse(item.line, f"{key}.restart", item.kind, "no, always, unless-stopped, on-failure or on-failure:N")
        return None
    condition = draft.text(policy.get("condition"), f"{key}.deploy.restart_policy.condition") or "any"
    if not policy or condition == "none":
        return None
    most = draft.whole(policy.get("max_attempts"), f"{key}.deploy.restart_policy.max_attempts", 0, 1000)
    return MOST_RESTARTS if most is None else most, keys["deploy"].line


def _limits(draft: Draft, service: Service, host: dict[str, tuple[Any, int]]) -> None:
    """Bounds of processor, memory and descriptors, and settings of the node's kernel."""
    keys, key = service.keys, service.key
    deploy = draft.table(keys.get("deploy"), f"{key}.deploy")
    draft.sift(deploy, f"{key}.deploy", _DEPLOY, _DEPLOY_IGNORED, "a service without it")
    if (mode := draft.text(deploy.get("mode"), f"{key}.deploy.mode")) not in ("", "replicated"):
        draft.refuse(deploy["mode"].line, f"{key}.deploy.mode", f"{mode!r}", "'replicated'")
    resources = draft.table(deploy.get("resources"), f"{key}.deploy.resources")
    draft.refuse_rest(resources, f"{key}.deploy.resources", ("limits", "reservations"), "`limits`")
    limits = draft.table(resources.get("limits"), f"{key}.deploy.resources.limits")
    draft.refuse_rest(limits, f"{key}.deploy.resources.limits", ("cpus", "memory"), "`cpus` and `memory`")
    if "reservations" in resources:
        draft.warn(resources["reservations"].line, f"{key}.deploy.resources.reservations", "nothing is reserved")
    for item, name in ((keys.get("cpus"), "cpus"), (limits.get("cpus"), "deploy.resources.limits.cpus")):
        if item and (cores := draft.number(item, f"{key}.{name}")):
            host["cpu"] = (cores, item.line)
    for item, name in ((keys.get("mem_limit"), "mem_limit"), (limits.get("memory"), "deploy.resources.limits.memory")):
        if item and (size := draft.bytes(item, f"{key}.{name}")):
            host["memory"] = (f"{size} B", item.line)
    bounds = {}
    for name, item in draft.table(keys.get("ulimits"), f"{key}.ulimits").items():
        pair = draft.table(item, f"{key}.ulimits.{name}") if isinstance(item.data, dict) else {}
        draft.refuse_rest(pair, f"{key}.ulimits.{name}", ("soft", "hard"), "a number, or `soft` and `hard`")
        bound = draft.whole(pair.get("soft") if pair else item, f"{key}.ulimits.{name}", 0, 10**15)
        if bound is not None:
            bounds[name] = bound
    if bounds:
        host["limits"] = (bounds, keys["ulimits"].line)
    settings = draft.pairs(keys.get("sysctls"), f"{key}.sysctls")
    if settings:
        host["sysctl"] = ({name: value or "" for name, (value, _) in settings.items()}, keys["sysctls"].line)


def _volumes(
    draft: Draft, service: Service, declared: Mapping[str, Item], folder: Path, has_image: bool
) -> list[Any]:  # fmt: skip
    """Private folders of the nodes; files that are bound become [[file]] tables."""
    key = f"{service.key}.volumes"
    private: list[Any] = draft.texts(service.keys.get("tmpfs"), f"{service.key}.tmpfs")
    private = [each.partition(":")[0] for each in private]
    for number, item in enumerate(draft.elements(service.keys.get("volumes"), key)):
        kind, source, target = _volume(draft, item, f"{key}.{number}")
        if not target.startswith("/"):
            draft.refuse(item.line, f"{key}.{number}", f"the target {target!r}", "an absolute path in the node")
        elif kind == "bind":
            path = Path(source).expanduser() if source[:1] in ("/", "~") else folder / source
            add_bind(draft, service.nodes, path, target, private, has_image, item.line, f"{key}.{number}")
        elif kind == "volume" and source and source not in declared:
            draft.refuse(item.line, f"{key}.{number}", f"the volume {source!r}", "one that `volumes` declares")
        else:
            if kind == "volume" and source and (holder := draft.holders.get(source) or _second(service)):
                found = f"the volume {source!r} in {holder} and in {service.nodes[0]}"
                draft.refuse(item.line, f"{key}.{number}", found, "a volume a node: nodes share no folder")
            draft.holders[source] = service.nodes[0]
            private.append(target if kind == "tmpfs" or not has_image else {"path": target, "from": "image"})
    return private


def _second(service: Service) -> str:
    """The second node of a service, "" where it has one."""
    return service.nodes[1] if len(service.nodes) > 1 else ""


def _volume(draft: Draft, item: Item, key: str) -> tuple[str, str, str]:
    """Kind, source and target of a volume in its short or its long form."""
    if isinstance(item.data, dict):
        draft.refuse_rest(
            item.data, key, ("type", "source", "target", "read_only", "bind", "volume", "tmpfs", "consistency"),
            "`type`, `source` and `target`",
        )  # fmt: skip
        kind, source, target = (
            draft.text(item.data.get(name), f"{key}.{name}") for name in ("type", "source", "target")
        )
        if kind not in ("bind", "volume", "tmpfs"):
            draft.refuse(item.line, f"{key}.type", f"{kind!r}", "bind, volume or tmpfs")
        return kind, source, target
    parts = draft.text(item, key).split(":")
    if len(parts) == 1:
        return "volume", "", parts[0]
    source, target = parts[0], parts[1]
    for option in ",".join(parts[2:]).split(","):
        if option not in ("", "ro", "rw", "z", "Z", "cached", "delegated", "consistent", "nocopy"):
            draft.refuse(item.line, key, f"the option {option!r}", "ro or rw")
    return ("bind" if source[:1] in (".", "/", "~") else "volume"), source, target

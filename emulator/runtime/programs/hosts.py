"""The hosts of a run: what processes find on their node, from the environment to the working folder.

Invariant: a node's namespaces are made once, when the first process needs them or a table of the scenario concerns the
node, and every later process of the node joins them. Nodes that run Python programs alone have their name only.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emulator.fabric.build import allow_descriptors
from emulator.fabric.host.cgroup import ControlGroups, NoControlGroups, NodeGroup, Usage
from emulator.fabric.host.namespaces import HostNamespaces, make_namespaces
from emulator.fabric.host.settings import HostFile, HostSettings, PrivateFolder
from emulator.fabric.image import Account, Image, account_of, read_image
from emulator.fabric.kernel import syscalls
from emulator.fabric.sandbox import hosts_file
from emulator.model.errors import DataError, PlatformError
from emulator.model.names import matches, matching
from emulator.record.folder import file_name, reason
from emulator.runtime.programs import commands
from emulator.scenario.placeholders import Places, fill
from emulator.scenario.schema.host import Host, Private, host_of

if TYPE_CHECKING:
    from emulator.model.network import Network
    from emulator.record.folder import RunFolder
    from emulator.record.verdict import HostRow
    from emulator.runtime.programs.processes import Process
    from emulator.scenario import Scenario

DESCRIPTORS = 5  # of a node: two namespaces, and at most three control groups
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # of an image that names none


@dataclass(frozen=True, slots=True)
class UnpackedImage:
    """An image, where it is unpacked, and who its programs run as."""

    image: Image
    root: Path
    account: Account


class Hosts:
    """The hosts of one run. `netns` gives the network namespace of a live node; `live`: those that stand on this
    machine (None: all)."""

    def __init__(
        self,
        scenario: Scenario,
        network: Network,
        folder: RunFolder,
        netns: Callable[[str], int],
        live: Sequence[int] | None = None,
    ) -> None:
        self._here = [network.nodes[number].name for number in (network.live if live is None else live)]
        self._scenario = scenario
        self._folder = folder
        self._netns = netns
        self._places = Places(network, scenario.directory)
        self._nodes = {node.name: node for node in network.nodes}
        self._names = hosts_file({node.name: (node.ipv4, node.ipv6) for node in network.nodes})
        self._tables = {node: table for node in self._here if (table := host_of(scenario.hosts, node))}
        self._files = self._files_by_node()
        self._images: dict[str, UnpackedImage] = {}
        self._altered: dict[tuple[str, str | None, str | None], UnpackedImage] = {}  # by image, user, working folder
        self._made: dict[str, HostNamespaces] = {}
        self._groups: ControlGroups | None = None
        self._bounded: dict[str, NodeGroup] = {}

    def prepare(self, progress: Callable[[int, int], None]) -> None:
        """Unpack images, and make the hosts that the scenario describes. DataError, PlatformError."""
        described = [node for node in self._here if node in self._tables or node in self._files]
        commands = [glob for program in self._scenario.programs if program.run is None for glob in program.nodes]
        allow_descriptors(DESCRIPTORS * len({*described, *matching(commands, self._here)}))
        names = dict.fromkeys(table.image for table in self._tables.values() if table.image is not None)
        for done, name in enumerate(names):
            progress(done, len(names) + len(described))
            self._images[name] = self._unpacked(name, done)
        self._bound()
        for done, node in enumerate(described, len(names)):
            progress(done, len(names) + len(described))
            self._namespaces(node)

    def namespaces(self, node: str, whole: bool) -> dict[str, int]:
        """Descriptors of what a process of the node joins, by kind. `whole`: it wants files of the node's own."""
        found = {"net": self._netns(node)}
        if whole or node in self._made:
            made = self._namespaces(node)
            found |= {"uts": made.uts, "mnt": made.mnt}
        if node in self._bounded:
            found |= {f"group{number}": fd for number, fd in enumerate(self._bounded[node].entrances)}
        return found

    def surroundings(self, node: str) -> dict[str, Any]:
        """Fields of Spawn that every process of a node has: limits, account, and variables of the environment."""
        spec, table = self._nodes[node], self._tables.get(node)
        variables = {
            "SKYLOOM_NODE": node,
            "SKYLOOM_ADDRESS": spec.ipv4,
            "SKYLOOM_ADDRESS6": spec.ipv6,
            "SKYLOOM_RUN": str(self._folder.path),
            "SKYLOOM_SEED": str(self._scenario.seed),
        }
        fields: dict[str, Any] = {"limits": dict(table.limits or {}) if table else {}, "variables": variables}
        unpacked = self._image_of(node)
        if unpacked is None:
            return fields | {"bin": commands.FOLDER if self._commands(node) else ""}
        account = unpacked.account
        return fields | {
            "environment": {"PATH": PATH, "HOME": account.home, **unpacked.image.environment},
            "directory": unpacked.image.working_folder,
            "account": (account.user, account.group, *account.groups) if _change_users() and account.user else (),
        }

    def filled(self, node: str, index: int, text: str, join: str = ",") -> str:
        """A text with its placeholders filled in for node number `index` of those that it is for."""
        return fill(text, self._places.at(node, index), join)

    def command(
        self,
        node: str,
        index: int,
        words: Sequence[str],
        environment: Mapping[str, str] | None = None,
        join: str = ",",
        entry_point: Sequence[str] | None = (),
    ) -> dict[str, Any]:
        """Fields of Spawn for a command with placeholders, on node number `index` of those that it runs on.

        `entry_point` None: that of the node's image, if it has one. DataError where nothing is left to run.
        """
        place = self._places.at(node, index)
        fields = self.surroundings(node)
        unpacked = self._image_of(node)
        argv = tuple(fill(word, place, join) for word in (*(entry_point or ()), *words))
        if unpacked is not None and entry_point is None:
            argv = unpacked.image.arguments(argv)
        elif unpacked is None and "/" in argv[0]:  # every relative path of a scenario is relative to its folder
            argv = (str(Path(self._scenario.directory, argv[0])), *argv[1:])
        if not argv:
            raise DataError(
                f"{node}: its image has neither entry point nor command; expected a `command` in [[program]]"
            )
        fields["variables"] |= {key: fill(text, place, join) for key, text in (environment or {}).items()}
        return {"directory": self.working_folder(node), **fields, "command": argv}

    def working_folder(self, node: str) -> str:
        """The node's folder in the run folder, in which its commands run."""
        name = f"nodes/{file_name(node)}"
        try:
            return str(self._folder.make_folder(name))
        except OSError as error:
            self._folder.warn(f"{name} cannot be made: {reason(error)}; commands of {node} run in /")
            return "/"

    def used(self) -> dict[str, Usage]:
        """What nodes with bounds have used so far, by their groups."""
        return {node: group.usage() for node, group in self._bounded.items()}

    def rows(self, processes: Sequence[Process], now_s: float) -> list[HostRow]:
        """What nodes with bounds were given so far, by their groups or by their processes that have ended."""
        return rows(self._tables, self.used(), processes, now_s)

    # -- making --------------------------------------------------------------------------------------------------------

    def _bound(self) -> None:
        """Make the control groups of nodes with bounds; where that is not possible the run goes on, and says so.

        PlatformError where a limit is above what this machine grants.
        """
        for node, table in self._tables.items():
            check_limits(node, table.limits or {})
        bounds = {node: it for node, it in self._tables.items() if it.cpu is not None or it.memory_bytes is not None}
        if not bounds:
            return
        try:
            self._groups = ControlGroups(self._folder.run_id)
            for node, table in bounds.items():
                self._bounded[node] = self._groups.add(file_name(node), table.cpu, table.memory_bytes)
        except (NoControlGroups, OSError) as error:
            self._bounded.clear()
            self._folder.warn(
                f"cpu and memory of {len(bounds)} nodes are not bounded: no control groups can be made here ({error}); "
                "run as root, or in a group whose controllers are delegated"
            )

    def _namespaces(self, node: str) -> HostNamespaces:
        if node not in self._made:
            self._made[node] = make_namespaces(self._settings(node), self._netns(node))
        return self._made[node]

    def _settings(self, node: str) -> HostSettings:
        table, unpacked = self._tables.get(node), self._image_of(node)
        shared = [self._scenario.directory] if unpacked else [self._scenario.directory, *_python_folders()]
        return HostSettings(
            name=node,
            private=tuple(_private(each, unpacked is not None) for each in (table.private or () if table else ())),
            files=(*self._commands(node), *self._files.get(node, ())),
            sysctls={key: str(value) for key, value in (table.sysctl or {} if table else {}).items()},
            read_only=bool(table and table.read_only),
            root=unpacked.root if unpacked else None,
            names=self._names,
            shared=tuple(path for path in shared if Path(path).is_dir() and path != "/"),
            run_folder=str(self._folder.path),
            working_folder=self.working_folder(node),
        )

    def _commands(self, node: str) -> list[HostFile]:
        """What the node's Python programs bring to be run there. None on an image, which need not have Python."""
        if self._image_of(node) is not None:
            return []
        programs = [each for each in self._scenario.programs if each.run is not None and matches(each.nodes, node)]
        return commands.executables(program.run for program in programs if program.run is not None)

    def _files_by_node(self) -> dict[str, list[HostFile]]:
        files: dict[str, list[HostFile]] = {}
        for file in self._scenario.files:
            for index, node in enumerate(matching(file.nodes, self._places.live)):
                content = fill(file.content, self._places.at(node, index), file.join)
                files.setdefault(node, []).append(HostFile(file.path, content, int(file.mode, 8)))
        return files

    # -- images --------------------------------------------------------------------------------------------------------

    def _image_of(self, node: str) -> UnpackedImage | None:
        """The image of a node, with the user and the working folder that the node's table has instead."""
        table = self._tables.get(node)
        unpacked = self._images.get(table.image) if table is not None and table.image is not None else None
        if table is None or table.image is None or unpacked is None:
            return None
        if table.user is None and table.working_folder is None:
            return unpacked
        key = table.image, table.user, table.working_folder
        if key not in self._altered:
            image = replace(
                unpacked.image,
                user=unpacked.image.user if table.user is None else table.user,
                working_folder=table.working_folder or unpacked.image.working_folder,
            )
            self._altered[key] = UnpackedImage(image, unpacked.root, self._account(table.image, image, unpacked.root))
        return self._altered[key]

    def _unpacked(self, name: str, number: int) -> UnpackedImage:
        """An image in memory of the sandbox, which goes with it; a root folder is used where it is."""
        image = read_image(Path(self._scenario.directory, name))
        if image.layers is not None and not self._images_folder.is_mount():
            self._folder.make_folder(self._images_folder.name)
            syscalls.mount("tmpfs", str(self._images_folder), "tmpfs", syscalls.MS_NODEV, "mode=0755")
        unpacked = image.unpack(self._images_folder / str(number))
        if unpacked.omitted:
            self._folder.warn(f"image {name}: left out: {', '.join(unpacked.omitted)}")
        return UnpackedImage(image, unpacked.root, self._account(name, image, unpacked.root))

    def _account(self, name: str, image: Image, root: Path) -> Account:
        """Who programs of an image run as; ImageError where the image does not know its user."""
        account = account_of(root, image.user, str(image.path))
        if account.user and not _change_users():
            self._folder.warn(f"image {name}: without root there is no user {image.user!r}; its programs run as root")
        return account

    @property
    def _images_folder(self) -> Path:
        return self._folder.path / "images"

    def close(self) -> None:
        """Let go of namespaces and images; the kernel removes them once no process is left in them."""
        for made in self._made.values():
            made.close()
        self._made.clear()
        if self._groups is not None:
            self._groups.close()
            self._groups = None
        if self._images_folder.is_mount():
            syscalls.umount(str(self._images_folder), syscalls.MNT_DETACH)
            self._images_folder.rmdir()


def rows(
    tables: Mapping[str, Host], used: Mapping[str, Usage], processes: Sequence[Process], now_s: float
) -> list[HostRow]:
    """What nodes with bounds in their tables were given, by what their groups `used` or by their processes."""
    found: list[HostRow] = []
    for node, table in tables.items():
        if table.cpu is None and table.memory_bytes is None:
            continue
        mine = [process for process in processes if process.node == node]
        usage = used.get(node, Usage(None, None, None))
        spent_s = usage.cpu_s if usage.cpu_s is not None else sum(process.cpu_s for process in mine)
        span_s = now_s - min((process.spawned_at for process in mine), default=now_s)
        found.append({
            "node": node, "cores_asked": table.cpu, "cores_delivered": spent_s / span_s if span_s > 0 else 0.0,
            "throttled_s": usage.throttled_s, "memory_asked_bytes": table.memory_bytes,
            "memory_peak_bytes": usage.memory_peak_bytes, "bounded": node in used,
        })  # fmt: skip
    return found


def _private(folder: Private, on_image: bool) -> PrivateFolder:
    """Without an image a folder "from image" shows what the machine has."""
    of_image = folder.from_ == "image" and on_image
    return PrivateFolder(folder.path, over_machine=folder.from_ is not None and not of_image, of_image=of_image)


def check_limits(node: str, limits: Mapping[str, int]) -> None:
    """Try the limits above our own hard ones. PlatformError where the kernel refuses one."""
    for name, value in limits.items():
        kind = getattr(resource, f"RLIMIT_{name.upper()}")
        soft, hard = resource.getrlimit(kind)
        if hard == resource.RLIM_INFINITY or value <= hard:
            continue
        try:
            resource.setrlimit(kind, (soft, value))
        except (ValueError, OSError):
            raise PlatformError(
                f"{node}: limits.{name} = {value}: this machine grants at most {hard} here; "
                "expected no more, or a higher hard limit (`ulimit -H`) of `skyloom` itself"
            ) from None
        resource.setrlimit(kind, (soft, hard))


def _change_users() -> bool:
    """Whether a process may become another user: the user namespace of a run without root has one only."""
    return Path("/proc/self/setgroups").read_text().strip() == "allow"


def _python_folders() -> list[str]:
    """Where Python programs, and commands that use this Python, import from."""
    here = Path(__file__).parents[3]  # of an editable installation, which is in no path: pip gives it a finder
    paths = [*map(Path, (sys.base_prefix, sys.prefix, *sys.path)), here]
    return list(dict.fromkeys(str(path.resolve()) for path in paths if path.is_dir()))

"""The host of a node in its namespaces: as root, and as a user that has a user namespace only."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fabric_sandbox import in_sandbox, needs_sandbox

from emulator.fabric.host.namespaces import KINDS, make_namespaces
from emulator.fabric.host.settings import HostFile, HostSettings, PrivateFolder
from emulator.fabric.kernel import syscalls
from emulator.fabric.kernel.tun import open_port

pytestmark = [pytest.mark.netns, needs_sandbox]

with_and_without_root = pytest.mark.parametrize("user_namespace", [False, True], ids=["root", "user"])


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """A folder of the machine with a file in it, and a run folder with the folder of node n1."""
    (tmp_path / "machine").mkdir()
    (tmp_path / "machine" / "kept").write_text("of the machine")
    (tmp_path / "run" / "nodes" / "n1").mkdir(parents=True)
    return tmp_path


def settings(folders: Path, **more: Any) -> HostSettings:
    run = folders / "run"
    return HostSettings("n1", run_folder=str(run), working_folder=str(run / "nodes" / "n1"), **more)


def whereabouts() -> list[Path]:
    """The namespaces and the working folder of this process."""
    return [Path.cwd(), *(Path(f"/proc/self/ns/{kind}").readlink() for kind in KINDS)]


def names_in(folder: str | Path) -> list[str]:
    return sorted(each.name for each in Path(folder).iterdir())


def on_the_node(settings: HostSettings, *visits: Callable[[], Any], user_namespace: bool | None = None) -> list[Any]:
    """What functions return that run as processes of the node, one after the other."""

    def body() -> list[Any]:
        home = os.open("/proc/self/ns/net", os.O_RDONLY)
        syscalls.unshare(syscalls.CLONE_NEWNET)
        netns = os.open("/proc/self/ns/net", os.O_RDONLY)
        open_port("up", 7)
        syscalls.setns(home, syscalls.CLONE_NEWNET)
        before = whereabouts()
        made = make_namespaces(settings, netns)
        assert whereabouts() == before
        answers = []
        for visit in visits:
            syscalls.setns(netns, syscalls.CLONE_NEWNET)
            syscalls.setns(made.uts, syscalls.CLONE_NEWUTS)
            syscalls.setns(made.mnt, syscalls.CLONE_NEWNS)
            answers.append(visit())
        return answers

    answers: list[Any] = in_sandbox(body, {"n1": ("10.0.0.1",)}, user_namespace=user_namespace)
    return answers


@with_and_without_root
def test_its_name_and_its_interfaces_are_its_own(folders: Path, user_namespace: bool) -> None:
    def look() -> Any:
        names = socket.gethostname(), Path("/proc/sys/kernel/hostname").read_text(), Path("/etc/hosts").read_text()
        return *names, names_in("/sys/class/net"), names_in("/proc/sys/net/ipv4/conf")

    [(name, in_proc, hosts, interfaces, settings_of)] = on_the_node(
        settings(folders), look, user_namespace=user_namespace
    )
    assert (name, in_proc) == ("n1", "n1\n")
    assert "10.0.0.1 n1" in hosts
    assert interfaces == ["lo", "up"]
    assert settings_of == ["all", "default", "lo", "up"]


@with_and_without_root
def test_private_folders_are_empty_or_lie_over_the_machine_s(folders: Path, user_namespace: bool) -> None:
    machine = folders / "machine"

    def change() -> Any:
        with (machine / "kept").open("a") as kept:
            kept.write(", changed")
        (machine / "new").write_text("x")
        Path("/var/tmp/new").write_text("x")
        return names_in("/var/tmp")

    def look() -> Any:
        return (
            (machine / "kept").read_text(),
            names_in(machine),
            names_in("/var/tmp"),
            names_in("/tmp/own"),
        )

    private = PrivateFolder(str(machine), over_machine=True), PrivateFolder("/var/tmp"), PrivateFolder("/tmp/own")
    wanted = settings(folders, private=private)
    first, second = on_the_node(wanted, change, look, user_namespace=user_namespace)
    assert first == ["new"]
    assert second == ("of the machine, changed", ["kept", "new"], ["new"], [])
    assert [(each.name, each.read_text()) for each in machine.iterdir()] == [("kept", "of the machine")]
    assert not Path("/var/tmp/new").exists()


@with_and_without_root
def test_an_etc_of_its_own_keeps_the_names_of_the_run(folders: Path, user_namespace: bool) -> None:
    files = (HostFile("/etc/group", "root:x:0:\nfrrvty:x:0:root\n"),)
    over = (PrivateFolder("/etc", over_machine=True),)
    wanted = settings(folders, private=over, files=files, names="10.0.0.1 n1\n")

    def look() -> list[str]:
        return [Path("/etc", name).read_text() for name in ("hostname", "hosts", "resolv.conf", "group")]

    [(name, hosts, resolver, group)] = on_the_node(wanted, look, user_namespace=user_namespace)
    assert (name, hosts, group) == ("n1\n", "10.0.0.1 n1\n", files[0].content)
    assert "no name leaves the sandbox" in resolver
    assert Path("/etc/group").read_text() != group


def test_two_nodes_share_no_tmp_but_the_run_folder(folders: Path) -> None:
    def write() -> Any:
        Path("/tmp/of-n1").touch()
        (folders / "run" / "nodes" / "n1" / "kept").touch()
        return names_in("/tmp")

    assert on_the_node(settings(folders), write) == [
        sorted(["of-n1", *({folders.parts[2]} if folders.is_relative_to("/tmp") else ())])
    ]
    assert not Path("/tmp/of-n1").exists()
    assert (folders / "run" / "nodes" / "n1" / "kept").exists()


@with_and_without_root
def test_files_are_there_with_their_mode(folders: Path, user_namespace: bool) -> None:
    files = (
        HostFile("/var/tmp/app/app.conf", "name n1\n", 0o640),
        HostFile("/tmp/x", "x"),
        HostFile("data/seed", "7"),
    )

    def look() -> Any:
        found = [Path("/var/tmp/app/app.conf"), Path("/tmp/x")]
        return [(each.read_text(), each.stat().st_mode & 0o777) for each in found]

    wanted = settings(folders, private=(PrivateFolder("/var/tmp"),), files=files)
    assert on_the_node(wanted, look, user_namespace=user_namespace) == [[("name n1\n", 0o640), ("x", 0o644)]]
    assert (folders / "run" / "nodes" / "n1" / "data" / "seed").read_text() == "7"


def test_no_file_is_written_where_the_machine_would_see_it(folders: Path) -> None:
    machine = folders / "machine"
    (machine / "link").symlink_to("/srv")
    over = (PrivateFolder(str(machine), over_machine=True),)
    for path in (Path("/srv/of-n1"), machine / "link" / "of-n1", folders / "shared" / "of-n1"):
        (folders / "shared").mkdir(exist_ok=True)
        shared = (str(folders / "shared"),)
        wanted = settings(folders, private=over, files=(HostFile(str(path), "x"),), shared=shared)
        with pytest.raises(AssertionError, match="its folder belongs to the machine; expected a private one"):
            on_the_node(wanted)
    assert not Path("/srv/of-n1").exists()


def test_a_private_folder_that_is_not_there_is_an_error(folders: Path) -> None:
    wanted = settings(folders, private=(PrivateFolder("/var/no/such"),))
    with pytest.raises(AssertionError, match="/var/no/such: this machine has no such folder"):
        on_the_node(wanted)


@with_and_without_root
def test_a_read_only_machine_still_has_its_private_places(folders: Path, user_namespace: bool) -> None:
    def write() -> list[str]:
        refused = []
        for path in (
            folders / "machine",
            folders / "run" / "nodes" / "n1",
            Path("/tmp"),
            Path("/var/tmp"),
            Path("/dev/shm"),
        ):
            try:
                (path / "probe").touch()
            except OSError as error:
                refused.append(f"{path.name}: {error.strerror}")
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        return refused

    wanted = settings(folders, private=(PrivateFolder("/var/tmp"),), read_only=True, shared=(str(folders),))
    assert on_the_node(wanted, write, user_namespace=user_namespace) == [["machine: Read-only file system"]]
    Path("/dev/shm/probe").unlink(missing_ok=True)


@with_and_without_root
def test_sysctls_are_the_node_s(folders: Path, user_namespace: bool) -> None:
    wanted = settings(folders, sysctls={"net.ipv4.ip_default_ttl": "9"})

    def look() -> int:
        return int(Path("/proc/sys/net/ipv4/ip_default_ttl").read_text())

    assert on_the_node(wanted, look, user_namespace=user_namespace) == [9]
    with pytest.raises(AssertionError, match=r"sysctl net\.ipv4\.no_such = 9: No such file"):
        on_the_node(replace(wanted, sysctls={"net.ipv4.no_such": "9"}))


@with_and_without_root
def test_an_image_is_all_that_is_seen_and_nothing_is_written_to_it(folders: Path, user_namespace: bool) -> None:
    root = folders / "image"
    for folder in ("bin", "etc"):
        (root / folder).mkdir(parents=True)
    (root / "etc" / "hostname").symlink_to("/nowhere/at/all")
    (root / "etc" / "os-release").write_text("NAME=image\n")
    (root / "run").symlink_to(folders / "machine")  # leads out of the image, and nowhere within it

    def look() -> Any:
        Path("/etc/os-release").write_text("changed")
        Path("/data").mkdir()
        own = folders / "run" / "nodes" / "n1"
        (own / "kept").touch()
        return (
            names_in("/"), Path("/etc/hostname").read_text(), Path("/etc/hosts").read_text(),
            names_in("/sys/class/net"), Path("/dev/null").is_char_device(), Path("/proc/self/status").exists(),
            Path("/srv/app.conf").read_text(),
        )  # fmt: skip

    wanted = settings(folders, root=root, names="10.0.0.1 n1\n", files=(HostFile("/srv/app.conf", "x"),))
    [(top, name, hosts, interfaces, null, processes, file)] = on_the_node(wanted, look, user_namespace=user_namespace)
    assert {"bin", "data", "dev", "etc", "proc", "run", "srv", "sys", "tmp"} <= set(top)
    assert not {"usr", ".skyloom"} & set(top)
    assert (name, hosts, interfaces, file) == ("n1\n", "10.0.0.1 n1\n", ["lo", "up"], "x")
    assert null
    assert processes
    assert names_in(root) == ["bin", "etc", "run"]
    assert (root / "etc" / "os-release").read_text() == "NAME=image\n"
    assert names_in(folders / "machine") == ["kept"]
    assert (folders / "run" / "nodes" / "n1" / "kept").exists()

"""Programs run in images: entry point, command, environment, user and working folder, and files that stay."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from fabric_sandbox import in_sandbox
from made_images import (
    BUSYBOX,
    both_files,
    busybox_layer,
    docker_files,
    file,
    folder,
    layer,
    oci_files,
    symlink,
    tree_of,
    write_archive,
    write_folder,
)  # fmt: skip
from skyloom_command import skyloom

from emulator.fabric.image import read_image
from emulator.fabric.kernel import syscalls
from emulator.model.errors import EXIT_DATA, EXIT_PASS

pytestmark = [
    pytest.mark.netns,
    pytest.mark.usefixtures("with_root"),
    pytest.mark.skipif(not BUSYBOX.exists(), reason="no busybox here (Debian: busybox-static)"),
]

APPLETS = ("sh", "id", "cat", "hostname", "env", "pwd", "ls", "test")
SETTINGS = {
    "Entrypoint": ["/bin/sh", "-c"],
    "Cmd": ["id; pwd; env; cat /etc/motd; hostname; ls /; echo changed > /tmp/x; echo changed > /etc/motd"],
    "Env": ["PATH=/bin", "APP=of the image"],
    "User": "web",
    "WorkingDir": "/srv",
}


def run(where: Path, image: Path, programs: str) -> tuple[int, str, Path]:
    """Exit code, output and run folder of a second on three nodes with the image."""
    scenario = where / "lab.toml"
    scenario.write_text(
        'topology = "topologies.wan"\nduration = "1 s"\n[wan]\nhosts = 3\n'
        f'[[host]]\nnodes = "*"\nimage = "{image.name}"\n{programs}'
    )
    done = skyloom("run", scenario, "--no-tui", "--runs", where / "runs")
    return done.returncode, done.stdout + done.stderr, where / "runs" / "lab" / "latest"


def printed(run: Path, node: str, program: str) -> list[str]:
    return (run / "logs" / node / f"{program}.txt").read_text().splitlines()


def test_a_program_runs_as_its_image_says(tmp_path: Path) -> None:
    layers = [busybox_layer(*APPLETS), layer(file("etc/motd", b"of the image\n", 0o666))]
    image = write_archive(tmp_path / "app.tar", both_files(layers, **SETTINGS))
    before = image.read_bytes()
    code, output, found = run(
        tmp_path, image,
        '[[program]]\nname = "app"\nnodes = ["v0", "v1"]\n'
        '[[program]]\nname = "own"\nnodes = "v2"\ncommand = ["pwd; cat /etc/motd; echo {node} $APP"]\n'
        'environment = { APP = "of the scenario" }\n',
    )  # fmt: skip
    assert code == EXIT_PASS, output
    for node in ("v0", "v1"):  # neither sees what the other wrote
        lines = printed(found, node, "app")
        assert lines[:2] == ["uid=1000(web) gid=100(users) groups=200(logs)", "/srv"]
        assert {"APP=of the image", "PATH=/bin", "HOME=/srv", f"SKYLOOM_NODE={node}"} < set(lines)
        assert {"of the image", node} < set(lines)
        assert lines[lines.index(node) + 1 :] == ["bin", "dev", "etc", "proc", "srv", "sys", "tmp"]
    assert printed(found, "v2", "own") == ["/srv", "of the image", "v2 of the scenario"]
    assert image.read_bytes() == before
    assert not (found / "images").exists()


def test_a_root_folder_is_not_written_to(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    (root / "etc").mkdir()
    shutil.copy(BUSYBOX, root / "bin" / "busybox")
    before = sorted(root.rglob("*"))
    code, output, found = run(
        tmp_path, root,
        '[[program]]\nname = "own"\nnodes = "v1"\n'
        """command = ["/bin/busybox", "sh", "-c", "echo here > /etc/new; /bin/busybox cat /etc/new /etc/hostname"]\n""",
    )  # fmt: skip
    assert code == EXIT_PASS, output
    assert printed(found, "v1", "own") == ["here", "v1"]
    assert sorted(root.rglob("*")) == before


@pytest.mark.parametrize("link", ["/.skyloom", "/proc/1/root", "/proc/self/root"])
def test_links_of_an_image_lead_nowhere_on_the_machine(tmp_path: Path, link: str) -> None:
    """An image whose folders are links to where the machine's files might be seen while a node's host is made."""
    outside = tmp_path / "outside"
    outside.mkdir()
    links = [symlink(name, f"{link}{outside}") for name in ("etc", "run", "opt")]
    image = write_folder(tmp_path / "layout", oci_files([layer(file("bin/x", BUSYBOX.read_bytes(), 0o755), *links)]))
    _, output, _ = run(
        tmp_path, image,
        '[[file]]\nnodes = "*"\npath = "/opt/file"\ncontent = "x"\n'
        '[[file]]\nnodes = "*"\npath = "/run/below/file"\ncontent = "x"\n'
        '[[program]]\nname = "own"\nnodes = "v1"\ncommand = ["/bin/x", "true"]\n',
    )  # fmt: skip
    assert list(outside.iterdir()) == [], output


def test_a_bad_image_ends_the_run_with_what_is_wrong(tmp_path: Path) -> None:
    files = docker_files([busybox_layer(*APPLETS)], **SETTINGS)
    image = write_archive(tmp_path / "app.tar", files)
    image.write_bytes(image.read_bytes()[:-500_000])
    code, output, _ = run(tmp_path, image, '[[program]]\nname = "app"\nnodes = "v0"\n')
    assert code == EXIT_DATA, output
    assert "app.tar: " in output
    assert "Traceback" not in output


def test_without_root_owners_stay_and_are_said(tmp_path: Path) -> None:
    entries = [folder("srv", uid=1000, gid=100), file("srv/x", b"1", 0o4755, uid=1000), file("y", uid=0, gid=0)]
    image = write_archive(tmp_path / "app.tar", docker_files([layer(*entries)]))
    (tmp_path / "into").mkdir()

    def unpack() -> tuple[str, ...]:
        syscalls.mount("tmpfs", str(tmp_path / "into"), "tmpfs")
        unpacked = read_image(image).unpack(tmp_path / "into" / "0")
        assert tree_of(unpacked.root)["srv/x"] == ("file", b"1", 0o4755)
        return unpacked.omitted

    assert in_sandbox(unpack, user_namespace=True) == ("2 owners (this user may not give files away)",)
    assert in_sandbox(unpack, user_namespace=False) == ()

"""What a node sees as its files: its name, its /sys, /tmp and private folders, over the machine's files or an image.

    desk (a tmpfs, for a moment at /proc) ── tmp, private folders, upper folders of overlays: they stay as they are mounted

Invariant: runs in a mount namespace of the node's own. Files are written only below what is mounted here, so that
nothing of the machine or of an image changes; the desk's memory goes with the last process and descriptor of the node.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from emulator.fabric.host.settings import HostFile, HostSettings, PrivateFolder
from emulator.fabric.kernel import syscalls
from emulator.model.errors import PlatformError

DESK = "/proc"  # a folder that every machine has, and that nobody needs meanwhile
OLD_ROOT = "/.skyloom"  # where an image's node sees the machine's files while its own are arranged
_PSEUDO = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC
_FROM_MACHINE = ("/dev", "/proc")
_IMAGE_NAMES = {"/etc/resolv.conf": "# no name leaves the sandbox\n"}
_WRITABLE = ("/proc", "/sys", "/dev/shm", "/dev/pts", "/dev/mqueue")  # of a read-only host: no files of the machine


def arrange(settings: HostSettings) -> None:
    """Mount everything of a node's host. OSError, or PlatformError where a folder is missing."""
    shared = {path: os.open(path, os.O_PATH | os.O_CLOEXEC) for path in settings.shared}
    try:
        if settings.read_only:
            _make_read_only()
        syscalls.mount("tmpfs", DESK, "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=0755")
        desk, machine = (DESK, "") if settings.root is None else _enter_image(settings.root)
        _Host(settings, Path(desk), machine).mount_all(shared)
        if machine:
            syscalls.umount(OLD_ROOT, syscalls.MNT_DETACH)
            Path(OLD_ROOT).rmdir()
        else:
            syscalls.umount(DESK, syscalls.MNT_DETACH)
    finally:
        for fd in shared.values():
            os.close(fd)


def _make_read_only() -> None:
    syscalls.set_read_only("/", read_only=True, recursive=True)
    for path in _WRITABLE:
        with suppress(OSError):  # not a mount of its own here, or one that is read-only on this machine
            syscalls.set_read_only(path, read_only=False)


def _enter_image(root: Path) -> tuple[str, str]:
    """Make an overlay over an unpacked image the root; returns where the desk and the machine's files are now."""
    new = Path(DESK, "root")
    new.mkdir()
    mount_overlay(str(root), Path(DESK), str(new), "image")
    os.chdir(new)
    Path(OLD_ROOT.lstrip("/")).mkdir(mode=0o700)
    syscalls.pivot_root(".", OLD_ROOT.lstrip("/"))
    os.chdir("/")
    for path in _FROM_MACHINE:
        _make_folder(path)
    syscalls.mount(OLD_ROOT + "/dev", "/dev", "", syscalls.MS_BIND | syscalls.MS_REC)
    syscalls.mount("proc", "/proc", "proc", _PSEUDO)
    return OLD_ROOT + DESK, OLD_ROOT


def mount_overlay(lower: str, desk: Path, target: str, name: str) -> None:
    """Show `lower` at `target`; changes go to folders of the desk. A user namespace needs `userxattr`, root may."""
    upper, work = desk / f"{name}.upper", desk / f"{name}.work"
    upper.mkdir()
    work.mkdir()
    _take_looks(lower, str(upper))
    options = f"lowerdir={_escaped(lower)},upperdir={upper},workdir={work}"
    try:
        syscalls.mount("overlay", target, "overlay", 0, options + ",userxattr")
    except OSError:  # before Linux 5.11, where only root mounts overlays
        syscalls.mount("overlay", target, "overlay", 0, options)


class _Host:
    """The mounts of one node, beside its desk. `machine`: where the machine's root is seen."""

    def __init__(self, settings: HostSettings, desk: Path, machine: str) -> None:
        self._settings = settings
        self._desk = desk
        self._machine = machine
        self._image = bool(machine)
        self._own: list[str] = []  # real paths of what belongs to the node

    def mount_all(self, shared: dict[str, int]) -> None:
        self._mount_sys()
        self._name()
        folders = sorted({folder.path: folder for folder in self._settings.private}.values(), key=lambda it: it.path)
        if all(folder.path != "/tmp" for folder in folders) and not self._image:
            folders = sorted([*folders, PrivateFolder("/tmp")], key=lambda it: it.path)
        if self._image:
            _make_folder("/tmp", 0o1777)
        for number, folder in enumerate(folders):
            self._mount_private(folder, f"private{number}")
        for path, fd in shared.items():
            self._show_again(path, fd)
        for file in self._settings.files:
            self._write(file)

    def _mount_sys(self) -> None:
        """A /sys of this network namespace. A container may allow it to be read only."""
        if self._image:
            _make_folder("/sys")
        try:
            syscalls.mount("sysfs", "/sys", "sysfs", _PSEUDO)
        except PermissionError:
            syscalls.mount("sysfs", "/sys", "sysfs", _PSEUDO | syscalls.MS_RDONLY)

    def _name(self) -> None:
        """/etc/hostname; in an image /etc/hosts and /etc/resolv.conf too, which the sandbox covers elsewhere."""
        texts = {"/etc/hostname": self._settings.name + "\n"}
        if self._image:
            texts |= {"/etc/hosts": self._settings.names, **_IMAGE_NAMES}
            _make_folder("/etc")
        for path, text in texts.items():
            target = Path(path)
            if self._image and not target.exists():
                with suppress(OSError):  # a link that leads nowhere goes: the image's own layer keeps it
                    target.unlink()
                target.touch(0o644)
            if target.is_file():  # a mount needs something to cover, and nothing is made on the machine
                desk = self._desk / target.name
                desk.write_text(text)
                desk.chmod(0o644)
                syscalls.mount(str(desk), path, "", syscalls.MS_BIND)

    def _mount_private(self, folder: PrivateFolder, name: str) -> None:
        if not Path(folder.path).is_dir():
            if not self._is_own(Path(folder.path).parent):
                raise PlatformError(
                    f"{self._settings.name}: private folder {folder.path}: this machine has no such folder to cover; "
                    "expected one that is there, or one below another private folder"
                )
            _make_folder(folder.path)
        if folder.over_machine:
            mount_overlay(self._machine + folder.path, self._desk, folder.path, name)
        else:
            empty = self._desk / name
            empty.mkdir()
            _take_looks(folder.path, str(empty))
            syscalls.mount(str(empty), folder.path, "", syscalls.MS_BIND)
        self._own.append(os.path.realpath(folder.path))

    def _show_again(self, path: str, fd: int) -> None:
        """Let a folder of the machine be seen where it was, though something covers it, and be written to."""
        covered = self._image or self._is_own(path)
        if not covered and not self._settings.read_only:
            return
        if covered:
            _make_folder(path)
        os.fchdir(fd)
        syscalls.mount(".", path, "", syscalls.MS_BIND | syscalls.MS_REC)
        os.chdir("/")
        if self._settings.read_only:
            syscalls.set_read_only(path, read_only=False)

    def _write(self, file: HostFile) -> None:
        path = Path(file.path)
        parent = next(each for each in path.parents if each.exists())
        if not self._image and not self._is_own(parent):
            raise PlatformError(
                f"{self._settings.name}: file {path}: its folder belongs to the machine; expected one that is private to "
                "the node"
            )
        _make_folder(str(path.parent))
        with suppress(FileNotFoundError):
            path.unlink()  # never through a link
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, file.mode)
        with open(fd, "w", encoding="utf-8") as opened:
            opened.write(file.content)
        path.chmod(file.mode)

    def _is_own(self, path: str | Path) -> bool:
        """Whether a path leads into a folder of the node, links followed."""
        return self._image or _is_below(os.path.realpath(path), [*self._own, *map(os.path.realpath, self._settings.shared)])


def _is_below(path: str, folders: Iterable[str]) -> bool:
    return any(path == folder or path.startswith(folder.rstrip("/") + "/") for folder in folders)


def _make_folder(path: str, mode: int = 0o755) -> None:
    if not Path(path).is_dir():
        Path(path).mkdir(parents=True)
        Path(path).chmod(mode)


def _take_looks(original: str, copy: str) -> None:
    """Give a folder the mode and the owner of another, as far as this user may."""
    found = Path(original).stat()
    with suppress(OSError):  # an owner that the user namespace does not know
        os.chown(copy, found.st_uid, found.st_gid)
    Path(copy).chmod(found.st_mode & 0o7777)


def _escaped(path: str) -> str:
    """A path as a value of overlay options."""
    return path.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")

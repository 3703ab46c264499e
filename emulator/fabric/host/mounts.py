"""What a node sees as its files: its name, its /sys, /tmp and private folders, over the machine's files or an image.

    desk (a tmpfs, for a moment at /proc) ── private folders and upper folders of overlays, which stay mounted

Invariant: runs in a mount namespace of the node's own. Files are written only below what is mounted here, so that
nothing of the machine or of an image changes; the desk's memory goes with the last process and descriptor of the node.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from emulator.fabric.host.settings import HostFile, HostSettings, PrivateFolder
from emulator.fabric.kernel import syscalls
from emulator.model.errors import PlatformError

DESK = "/proc"  # a folder that every machine has, and that nobody needs meanwhile
_PSEUDO = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC
_FROM_MACHINE = ("/dev", "/proc")
_COVERED = ("/etc/resolv.conf", "/etc/nsswitch.conf")
_IMAGE_NAMES = {"/etc/resolv.conf": "# no name leaves the sandbox\n"}
_WRITABLE = ("/proc", "/sys", "/dev/shm", "/dev/pts", "/dev/mqueue")  # of a read-only host: no files of the machine


def arrange(settings: HostSettings) -> None:
    """Mount everything of a node's host. OSError, or PlatformError where a folder is missing."""
    shared = sorted({*settings.shared, settings.run_folder} - {""})
    over = [folder.path for folder in settings.private if folder.over_machine]
    machine: dict[str, int] = {}  # folders as they are before anything covers them
    try:
        for path in (*shared, *over):
            machine[path] = _opened(settings.name, path)
        if settings.read_only:
            _make_read_only()
        syscalls.mount("tmpfs", DESK, "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=0755")
        old_root = "" if settings.root is None else _enter_image(settings.root)
        _Host(settings, Path(old_root + DESK), machine).mount_all(shared)
        if settings.root is not None:
            _leave_machine(old_root)
        else:
            syscalls.umount(DESK, syscalls.MNT_DETACH)
    finally:
        for fd in machine.values():
            os.close(fd)


def _opened(node: str, path: str) -> int:
    try:
        return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise PlatformError(f"{node}: {path}: {error.strerror}; expected a folder that this machine has") from None


def _make_read_only() -> None:
    syscalls.set_read_only("/", read_only=True, recursive=True)
    for path in _WRITABLE:
        with suppress(OSError):  # not a mount of its own here, or one that is read-only on this machine
            syscalls.set_read_only(path, read_only=False)


def _enter_image(root: Path) -> str:
    """Make an overlay over an unpacked image the root; returns where the machine's root is now.

    No image can have a link to there, for nobody knows the name before.
    """
    new = Path(DESK, "root")
    new.mkdir()
    mount_overlay(str(root), Path(DESK), str(new), "image")
    os.chdir(new)
    old_root = f".{secrets.token_hex(16)}"
    Path(old_root).mkdir(mode=0o700)
    syscalls.pivot_root(".", old_root)
    os.chdir("/")
    return f"/{old_root}"


def _leave_machine(old_root: str) -> None:
    """Show /dev and /proc, after all files are written: links of an image to /proc/1/root led nowhere until now."""
    for path in _FROM_MACHINE:
        _make_folder(path)
    syscalls.mount(old_root + "/dev", "/dev", "", syscalls.MS_BIND | syscalls.MS_REC)
    syscalls.mount("proc", "/proc", "proc", _PSEUDO)
    syscalls.umount(old_root, syscalls.MNT_DETACH)
    Path(old_root).rmdir()


def mount_overlay(lower: str, desk: Path, target: str, name: str) -> None:
    """Show `lower` at `target`; changes go to folders of the desk. In a user namespace it needs `userxattr`."""
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
    """The mounts of one node. `machine`: descriptors of the machine's folders that it shows."""

    def __init__(self, settings: HostSettings, desk: Path, machine: dict[str, int]) -> None:
        self._settings = settings
        self._desk = desk
        self._machine = machine
        self._image = settings.root is not None
        # Real paths of folders, and whether what lies in them is the node's own.
        self._own = {"/": self._image, os.path.realpath(settings.working_folder): True}

    def mount_all(self, shared: list[str]) -> None:
        self._mount_sys()
        covered = {path: Path(path).read_text() for path in _COVERED if Path(path).is_file()}
        folders = sorted({folder.path: folder for folder in self._settings.private}.values(), key=lambda it: it.path)
        if all(folder.path != "/tmp" for folder in folders) and not self._image:
            folders = sorted([*folders, PrivateFolder("/tmp")], key=lambda it: it.path)
        if self._image:
            _make_folder("/tmp", 0o1777)
        for number, folder in enumerate(folders):
            self._mount_private(folder, f"private{number}")
        self._name(covered)
        for path in shared:
            self._show_again(path)
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

    def _name(self, covered: dict[str, str]) -> None:
        """/etc/hostname; where /etc is the node's own also what the sandbox `covered` there, or in an image would."""
        texts = {"/etc/hostname": self._settings.name + "\n"}
        own = self._is_own("/etc")
        if own:
            texts |= {"/etc/hosts": self._settings.names, **(_IMAGE_NAMES if self._image else covered)}
            _make_folder("/etc")
        for path, text in texts.items():
            target = Path(path)
            if own and not target.exists():
                with suppress(OSError):  # a link that leads nowhere goes: the image's own layer keeps it
                    target.unlink()
                target.touch(0o644)
            if target.is_file():  # a mount needs something to cover, and nothing is made on the machine
                desk = self._desk / target.name
                desk.write_text(text)
                desk.chmod(0o644)
                syscalls.mount(str(desk), path, "", syscalls.MS_BIND)

    def _mount_private(self, folder: PrivateFolder, name: str) -> None:
        if folder.of_image:
            _make_folder(folder.path)
            return
        if not Path(folder.path).is_dir():
            if not self._is_own(Path(folder.path).parent):
                raise PlatformError(
                    f"{self._settings.name}: private folder {folder.path}: this machine has no such folder to cover; "
                    "expected one that is there, or one below /tmp or another private folder; with an image, any"
                )
            _make_folder(folder.path)
        if folder.over_machine:
            os.fchdir(self._machine[folder.path])
            mount_overlay(".", self._desk, folder.path, name)
            os.chdir("/")
        else:
            empty = self._desk / name
            empty.mkdir()
            _take_looks(folder.path, str(empty))
            syscalls.mount(str(empty), folder.path, "", syscalls.MS_BIND)
        self._own[os.path.realpath(folder.path)] = True

    def _show_again(self, path: str) -> None:
        """Let a folder of the machine be seen where it was, though something covers it, and be written to."""
        covered = self._image or self._is_own(path)
        writable = path == self._settings.run_folder and self._settings.read_only
        if not covered and not writable:
            return
        if covered:
            _make_folder(path)
        os.fchdir(self._machine[path])
        syscalls.mount(".", path, "", syscalls.MS_BIND | syscalls.MS_REC)
        os.chdir("/")
        self._own[os.path.realpath(path)] = False
        if writable:
            syscalls.set_read_only(path, read_only=False)

    def _write(self, file: HostFile) -> None:
        path = Path(self._settings.working_folder, file.path)
        parent = next(each for each in path.parents if each.exists())
        if not self._is_own(parent):
            raise PlatformError(
                f"{self._settings.name}: file {path}: its folder belongs to the machine; expected a private one"
            )
        _make_folder(str(path.parent))
        with suppress(FileNotFoundError):
            path.unlink()  # never through a link
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, file.mode)
        with open(fd, "w", encoding="utf-8") as opened:
            opened.write(file.content)
        path.chmod(file.mode)

    def _is_own(self, path: str | Path) -> bool:
        """Whether a path leads into a folder of the node's own, links followed."""
        real = Path(os.path.realpath(path))
        return next(self._own[str(each)] for each in (real, *real.parents) if str(each) in self._own)


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

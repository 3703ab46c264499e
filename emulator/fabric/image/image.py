"""An image: what it wants to run, and its layers, which become one folder.

A layer is read twice: first whole, without a trace, for its digests, the form of every name and the bounds; then to
be unpacked. So most damage is found before anything is written. Whiteouts remove what layers below have, whatever
their place in the layer is; they are applied between the two readings, before any entry.

Left out, and said in `Unpacked.omitted`: device nodes, and owners where this user may not give files away. Extended
attributes, ACLs and the times of folders and links are left out silently.
"""

from __future__ import annotations

import errno
import gzip
import os
import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import BinaryIO

from emulator.fabric.image.bundle import Bundle, check_digest, open_bundle, verify
from emulator.fabric.image.errors import ImageError
from emulator.fabric.image.manifest import DOCKER_FILE, INDEX_FILE, LAYOUT_FILE, Layer, read_manifest
from emulator.fabric.image.tar import TarStream, entries
from emulator.fabric.image.tree import DEPTH, LINKS, Name, Tree
from emulator.model.errors import PlatformError

MAX_BYTES = 16 << 30  # of all layers, unpacked; holes of sparse files do not count
MAX_ENTRIES = 1_000_000  # of all layers
NAME_BYTES = 4096  # PATH_MAX
_ROOT_FOLDERS = ("bin", "sbin", "usr", "lib", "etc")
_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
_EXPECTED = {
    errno.ENOENT: "a link to a file that stands before it",
    errno.ENOTDIR: "folders above an entry",
    errno.EISDIR: "a folder there, or another name",
    errno.EPERM: "a link to a file, not to a folder",
    errno.ELOOP: f"at most {LINKS} links in a name",
    errno.ENAMETOOLONG: f"names of 255 bytes, at most {DEPTH} folders in each other",
    errno.E2BIG: f"at most {2 * MAX_ENTRIES:,}",
}
_ZSTD = ("compression.zstd", "backports.zstd")  # Python 3.14, and its backport


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A root folder, to be mounted as a lower folder and never written to, and what is not in it, in words."""

    root: Path
    omitted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Image:
    """An image as its configuration describes it; an unpacked root folder has no configuration, and no defaults."""

    path: Path
    architecture: str = ""  # "amd64"; "" of a root folder
    entry_point: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str = ""  # as `account_of` reads it
    working_folder: str = "/"
    exposed_ports: tuple[str, ...] = ()  # "2379/tcp"
    layers: tuple[Layer, ...] | None = None  # from the lowest up; None: the path is a root folder itself

    def arguments(self, command: Sequence[str] = ()) -> tuple[str, ...]:
        """The words that start the image's program: its entry point, then `command`, or its own command without."""
        return self.entry_point + (tuple(command) or self.command)

    def unpack(self, into: Path) -> Unpacked:
        """The root folder, made from the layers in `into`: a folder that is not there yet, which only its owner enters.

        An image that is a root folder is left where it is. Raises ImageError where a layer is damaged, hostile or
        beyond MAX_BYTES or MAX_ENTRIES (`into` then holds a part), PlatformError where `into` has no room.
        """
        if self.layers is None:
            return Unpacked(self.path)
        bundle = open_bundle(self.path)
        root = into / "root"
        into.mkdir(mode=0o700)
        root.mkdir()
        root.chmod(0o755)
        omitted: Counter[str] = Counter()
        bytes_left, entries_left = MAX_BYTES, MAX_ENTRIES
        with Tree(root, room=2 * MAX_ENTRIES) as tree:  # folders that layers do not list count, too
            for number, layer in enumerate(self.layers, 1):
                where = f"{self.path}: layer {number} of {len(self.layers)}"
                bytes_left, entries_left, whiteouts = _check(bundle, layer, where, bytes_left, entries_left)
                for name in whiteouts:
                    with _explained(where, "/".join(name)):
                        _apply_whiteout(tree, name)
                with _tar_of(bundle, layer, where) as file:
                    stream = TarStream(file, where)
                    for entry in entries(stream):
                        with _explained(where, entry.name):
                            _unpack_entry(tree, entry, stream, omitted)
            with (
                _explained(f"{self.path}: working folder", self.working_folder),
                tree.folder(name_of(self.working_folder), make=True),  # images need not bring it
            ):
                pass
        return Unpacked(root, tuple(f"{number:,} {what}" for what, number in sorted(omitted.items())))


def read_image(path: Path) -> Image:
    """The image at `path`: an OCI image layout, a `docker save` archive, either in a folder or a plain tar archive, or
    a folder with an unpacked root. Nothing is unpacked, and layers are looked for, but not verified yet.

    Raises ImageError where it is damaged, cut off, of another architecture, or several images.
    """
    with _explained(str(path)):
        return _read_image(path)


def _read_image(path: Path) -> Image:
    if not path.exists():
        raise ImageError(str(path), "no such file or folder", "an image layout, an archive or a root folder")
    if path.is_dir() and not any((path / name).is_file() for name in (INDEX_FILE, LAYOUT_FILE, DOCKER_FILE)):
        if not any((path / name).is_dir() for name in _ROOT_FOLDERS):
            raise ImageError(str(path), f"a folder with neither {INDEX_FILE} nor {DOCKER_FILE}, nor any of the folders "
                             f"{', '.join(_ROOT_FOLDERS)}", "an OCI image layout or an unpacked root")  # fmt: skip
        return Image(path.absolute())
    configuration, layers = read_manifest(open_bundle(path))
    settings = configuration.config
    environment = dict(line.partition("=")[::2] for line in settings.environment)
    words = (*settings.entry_point, *settings.command, *settings.environment, settings.working_folder)
    if any("\0" in word for word in words) or "" in environment:
        raise ImageError(str(path), "a NUL in a word, or a variable without a name", "words that a program can get")
    return Image(
        path.absolute(),
        configuration.architecture,
        tuple(settings.entry_point),
        tuple(settings.command),
        environment,
        settings.user,
        settings.working_folder or "/",
        tuple(sorted(settings.exposed_ports)),
        layers,
    )


def name_of(text: str) -> Name:
    """The parts of an entry's name, below the root: `/etc/x` and `./etc/x` are `etc/x`. Raises ValueError."""
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ValueError("it holds `..`")
    if len(os.fsencode(text)) > NAME_BYTES:
        raise ValueError(f"it is longer than {NAME_BYTES} bytes")
    if "\0" in text:
        raise ValueError("it holds a NUL")
    return parts


def whiteout_of(name: Name) -> bool:
    """Whether an entry of the name stands for the absence of another one. Raises ValueError for an absence of `..`."""
    if not name or not name[-1].startswith(_WHITEOUT):
        return False
    if name[-1] in (_WHITEOUT, ".wh..", ".wh..."):
        raise ValueError("a whiteout of no file")
    return True


def _check(bundle: Bundle, layer: Layer, where: str, bytes_left: int, entries_left: int) -> tuple[int, int, list[Name]]:
    """Read a whole layer; what is left of the bounds, and its whiteouts."""
    if layer.digest:
        verify(bundle, layer.name, layer.digest)
    whiteouts = []
    with _tar_of(bundle, layer, where) as file:
        stream = TarStream(file, where, bytes_left, hashed=True)
        for entry in entries(stream):
            entries_left -= 1
            if entries_left < 0:
                raise ImageError(where, f"more than {MAX_ENTRIES:,} entries in all layers", "a smaller image")
            with _explained(where, entry.name):
                name = name_of(entry.name)
                if whiteout_of(name):
                    whiteouts.append(name)
        check_digest(where, stream.rest(), layer.diff_id)
    assert stream.left is not None
    return stream.left, entries_left, whiteouts


@contextmanager
def _tar_of(bundle: Bundle, layer: Layer, where: str) -> Iterator[BinaryIO]:
    """The tar archive that a layer is, by its first bytes: plain, or compressed by gzip or zstd."""
    with bundle.open(layer.name) as file:
        magic = file.peek(4)[:4]
        if magic.startswith(b"\x1f\x8b"):
            with gzip.open(file) as plain:
                yield plain  # type: ignore[misc]
        elif magic == b"\x28\xb5\x2f\xfd":
            with _open_zstd(file, layer, where) as plain:
                yield plain
        else:
            yield file


def _open_zstd(file: BinaryIO, layer: Layer, where: str) -> BinaryIO:
    for name in _ZSTD:
        try:
            library = import_module(name)
        except ImportError:
            continue
        opened: BinaryIO = library.open(file)
        return opened
    raise ImageError(where, f"type {layer.media_type}, compressed by zstd, which this Python cannot read",
                     "gzip or no compression; or `pip install backports.zstd` (Python 3.14 needs nothing)")  # fmt: skip


def _apply_whiteout(tree: Tree, name: Name) -> None:
    if name[-1] == _OPAQUE:
        tree.clear(name[:-1])
    elif not name[-1].startswith(".wh..wh."):  # notes of AUFS to itself
        tree.remove([*name[:-1], name[-1].removeprefix(_WHITEOUT)])


def _unpack_entry(tree: Tree, entry: tarfile.TarInfo, stream: TarStream, omitted: Counter[str]) -> None:
    name = name_of(entry.name)
    if whiteout_of(name):
        return
    mode = entry.mode & 0o7777
    if entry.isdir():
        with tree.make_folder(name) as made:
            _give(made, entry, omitted)
            os.fchmod(made, mode)
    elif entry.isreg():
        with tree.make_file(name) as made:
            stream.seek(entry.offset_data)
            pieces: list[tuple[int, int]] = [(0, entry.size)]
            if entry.sparse is not None:
                pieces = list(entry.sparse)  # type: ignore[arg-type] # pairs, whatever the stub says
            for offset, size in pieces:
                os.lseek(made, offset, os.SEEK_SET)
                for data in stream.content(size):
                    _write(made, data)
            os.ftruncate(made, entry.size)
            _give(made, entry, omitted)
            os.fchmod(made, mode)
            os.utime(made, ns=(int(entry.mtime * 1e9),) * 2)
    elif entry.issym():
        tree.make_symlink(name, entry.linkname)
    elif entry.islnk():
        tree.make_hard_link(name, name_of(entry.linkname))
    elif entry.isfifo():
        tree.make_fifo(name, mode)
    elif entry.isdev():
        omitted["device nodes (a node has those of its own /dev)"] += 1
    else:
        raise ValueError(f"it is of the unknown type {entry.type!r}")


def _write(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]


def _give(made: int, entry: tarfile.TarInfo, omitted: Counter[str]) -> None:
    """Give a file or folder to its owner; in a user namespace most owners have no number."""
    try:
        os.fchown(made, entry.uid, entry.gid)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EINVAL):
            raise
        omitted["owners (this user may not give files away)"] += 1


@contextmanager
def _explained(where: str, name: str = "") -> Iterator[None]:
    """Errors of the kernel and of values as ImageError, or as PlatformError where the fault is not the image's."""
    try:
        yield
    except OSError as error:
        words = error.strerror or str(error)
        if error.errno in _FULL:
            raise PlatformError(f"{where}: it cannot be unpacked ({words}); make room, or unpack elsewhere") from None
        raise ImageError(
            where, f"{name!r}: {words}" if name else words, _EXPECTED.get(error.errno or 0, "an entry that can be made")
        ) from None
    except (ValueError, OverflowError) as error:
        raise ImageError(where, f"{name!r}: {error}" if name else str(error), "an entry below the root") from None

"""Bundles: the files of an image, in a folder or in a tar archive, by their names.

Invariant: a name leads to a regular file of the bundle or to an ImageError; it cannot leave the bundle, nor block.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import stat
from pathlib import Path
from typing import Any, Protocol

from emulator.fabric.image.errors import ImageError
from emulator.fabric.image.tar import TarStream, entries

JSON_BYTES = 4 << 20  # of a manifest, an index or a configuration; the bound of registries
ARCHIVE_ENTRIES = 100_000  # files of an archive: a few for each layer
CHUNK_BYTES = 1 << 18
_COMPRESSED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"\xfd7zXZ": "xz"}
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")


class Bundle(Protocol):
    """Files of an image by name."""

    @property
    def path(self) -> Path: ...

    def holds(self, name: str) -> bool: ...

    def open(self, name: str) -> io.BufferedReader:
        """The file to read. Raises ImageError where it is missing."""
        ...


class FolderBundle:
    """Files of an image in a folder. A file may be a symbolic link, as tools that share blobs write them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def holds(self, name: str) -> bool:
        return (self.path / name).is_file()

    def open(self, name: str) -> io.BufferedReader:
        if name.startswith("/") or ".." in name.split("/"):
            raise ImageError(str(self.path), f"a reference to {name}", "one to a file below the folder")
        try:
            return open_regular(self.path / name)
        except FileNotFoundError:
            raise _missing(self.path, name) from None


class TarBundle:
    """Files of an image in a plain tar archive, found by one pass over its headers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._places: dict[str, tuple[int, int]] = {}  # where the bytes of a file are: offset and length
        self._links: dict[str, str] = {}
        with open_regular(path) as file:
            if magic := next((kind for kind in _COMPRESSED if file.peek(8).startswith(kind)), b""):
                raise ImageError(str(path), f"an archive compressed by {_COMPRESSED[magic]}", "the plain tar archive")
            for number, entry in enumerate(entries(TarStream(file, str(path), skips=True))):
                name = os.path.normpath(entry.name)
                if number == ARCHIVE_ENTRIES:
                    raise ImageError(str(path), f"more than {ARCHIVE_ENTRIES:,} files", "a few for each layer")
                if entry.isreg() and not entry.issparse():
                    self._places[name] = entry.offset_data, entry.size
                elif entry.issym():  # Docker before 25 writes a layer once, and links for its other uses
                    self._links[name] = os.path.normpath(os.path.join(os.path.dirname(name), entry.linkname))  # noqa: PTH118, PTH120 - names in an archive
                elif entry.islnk():
                    self._links[name] = os.path.normpath(entry.linkname)

    def holds(self, name: str) -> bool:
        return name in self._places or name in self._links

    def open(self, name: str) -> io.BufferedReader:
        named = name
        for _ in range(8):  # links to links
            if name in self._places:
                file = open_regular(self.path)
                return io.BufferedReader(_Section(file, *self._places[name]), CHUNK_BYTES)
            name = self._links.get(name, "")
        raise _missing(self.path, named)


class _Section(io.RawIOBase):
    """Part of a file, as a file."""

    def __init__(self, file: io.BufferedReader, offset: int, length: int) -> None:
        self._file = file
        self._left = length
        file.seek(offset)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(min(len(buffer), self._left))
        self._left -= len(data)
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def open_bundle(path: Path) -> Bundle:
    """The bundle in a folder or an archive. Raises ImageError where it is neither."""
    if path.is_dir():
        return FolderBundle(path)
    return TarBundle(path)


def open_regular(path: Path) -> io.BufferedReader:
    """A regular file to read. Raises ImageError for a device or a pipe, and where it may not be read."""
    try:
        file = open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")  # noqa: SIM115 - the caller's
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ImageError(str(path), f"it cannot be read ({error.strerror})", "a file that may be read") from None
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise ImageError(str(path), "a pipe or a device", "a regular file")
    return file


def read_json(bundle: Bundle, name: str) -> Any:
    """The value of a JSON file."""
    with bundle.open(name) as file:
        return parse_json(bundle, name, file.read(JSON_BYTES + 1))


def parse_json(bundle: Bundle, name: str, data: bytes) -> Any:
    where = f"{bundle.path}: {name}"
    if len(data) > JSON_BYTES:
        raise ImageError(where, f"more than {JSON_BYTES:,} bytes", "a JSON file of a usual size")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ImageError(where, f"no JSON ({error})", "a JSON file; the image may be cut off or damaged") from None


def blob_name(where: str, digest: str) -> str:
    """The file of a blob in an OCI layout."""
    found = _DIGEST.fullmatch(digest)
    if not found:
        raise ImageError(where, f"digest {digest!r}", "sha256: and 64 hexadecimal digits")
    return f"blobs/sha256/{found[1]}"


def read_blob(bundle: Bundle, digest: str) -> bytes:
    """A small blob (a manifest, a configuration), verified."""
    name = blob_name(str(bundle.path), digest)
    with bundle.open(name) as file:
        data = file.read(JSON_BYTES + 1)
    check_digest(f"{bundle.path}: {name}", hashlib.sha256(data).hexdigest(), digest)
    return data


def verify(bundle: Bundle, name: str, digest: str) -> None:
    """ImageError unless the file has the digest."""
    with bundle.open(name) as file:
        check_digest(f"{bundle.path}: {name}", hashlib.file_digest(file, "sha256").hexdigest(), digest)


def check_digest(where: str, found: str, digest: str) -> None:
    if f"sha256:{found}" != digest:
        raise ImageError(where, f"content with digest sha256:{found}", f"{digest}; the image is damaged or was changed")


def _missing(path: Path, name: str) -> ImageError:
    return ImageError(str(path), f"no file {name}", "an image with all its parts; it may be cut off, so save it again")

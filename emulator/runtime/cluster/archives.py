"""Archives of folders, on their way between the machines of a run.

Invariant: they are written and read as streams, so that no machine holds more than a piece of one in memory.
"""

from __future__ import annotations

import gzip
import os
import tarfile
from collections.abc import Container, Iterator
from pathlib import Path
from typing import IO

PIECE_BYTES = 1 << 20


def pack(folder: Path, into: IO[bytes], excluded: Container[str] = ()) -> None:
    """Write the archive of a folder, with what links in it lead to. OSError."""
    with (
        gzip.GzipFile(fileobj=into, mode="wb", compresslevel=1) as compressed,
        tarfile.open(fileobj=compressed, mode="w|", dereference=True) as archive,
    ):
        for path in files(folder, excluded):
            archive.add(path, str(path.relative_to(folder)), recursive=False)


def unpack(archive: IO[bytes], folder: Path) -> None:
    """Undo `pack`. OSError, tarfile.TarError."""
    with tarfile.open(fileobj=archive, mode="r|gz") as opened:
        opened.extractall(folder, filter="data")


def files(folder: Path, excluded: Container[str] = ()) -> Iterator[Path]:
    """All files of a folder, but for those below folders of an excluded name."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in excluded)
        yield from (path for path in (Path(parent, name) for name in sorted(names)) if path.is_file())

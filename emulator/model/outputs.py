"""Output files that are replaced as a whole, so that a reader sees the old one or the new one.

Invariant: what is not whole yet lies beside the file, under a name of its own, and is locked as long as its writer
lives: `remove_abandoned` takes what killed processes left, and nothing else.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

_PARTIAL = ".partial"


def write_atomic(path: Path, data: bytes) -> None:
    """Replace a file. Raises OSError, and then leaves all as it was."""
    partial = path.with_name(f".{path.name}.{token_hex(4)}{_PARTIAL}")
    try:
        with open(partial, "xb") as file:
            with suppress(OSError):  # a file system without locks: nothing is removed there
                fcntl.flock(file, fcntl.LOCK_EX)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            partial.replace(path)
    except OSError:
        with suppress(OSError):
            partial.unlink()
        raise


def remove_abandoned(folder: Path) -> None:
    """Remove what killed processes left in a folder when they wrote files there."""
    for partial in folder.glob(f".*{_PARTIAL}"):
        with suppress(OSError), open(partial, "r+b") as file:  # OSError: its writer lives, or has just removed it
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            partial.unlink()

"""The user's cache folder: models, and what was measured of them.

Invariant: a file there is whole, or is not there, so two calibrations at once leave the files of one or of the other.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from emulator.model.errors import PlatformError
from emulator.model.outputs import remove_abandoned, write_atomic


def cache_folder() -> Path:
    """Below $XDG_CACHE_HOME, or ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "skyloom"


def make_cache_folder() -> None:
    """Also remove what killed processes left there. PlatformError where nothing can be written."""
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise _refused(folder, error) from None
    remove_abandoned(folder)


def write(path: Path, data: bytes) -> None:
    """Replace a file by another one, at once. PlatformError where the disk does not take it."""
    try:
        write_atomic(path, data)
    except OSError as error:
        raise _refused(path, error) from None


def _refused(path: Path, error: OSError) -> PlatformError:
    return PlatformError(
        f"{path}: {error.strerror}; expected a folder that can be written, with room: $XDG_CACHE_HOME names another"
    )

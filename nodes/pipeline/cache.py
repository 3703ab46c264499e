"""The user's cache folder: models, and what was measured of them.

Invariant: a file there is whole, or is not there. It is written under a name that no other process uses, and then
renamed, so two calibrations at once leave the files of one or of the other.
"""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

from emulator.model.errors import PlatformError


def cache_folder() -> Path:
    """Below $XDG_CACHE_HOME, or ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "skyloom"


def make_cache_folder() -> None:
    """PlatformError where it cannot be made, or nothing can be written there."""
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder):
            pass
    except OSError as error:
        raise _refused(folder, error) from None


def write(path: Path, data: bytes) -> None:
    """Replace a file by another one, at once. PlatformError where the disk does not take it."""
    try:
        with TemporaryDirectory(prefix="write-", dir=path.parent) as folder:
            partial = Path(folder, path.name)
            partial.write_bytes(data)
            partial.replace(path)
    except OSError as error:
        raise _refused(path, error) from None


def _refused(path: Path, error: OSError) -> PlatformError:
    return PlatformError(
        f"{path}: {error.strerror}; expected a folder that can be written, with room: $XDG_CACHE_HOME names another"
    )

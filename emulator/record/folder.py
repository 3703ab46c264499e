"""The run folder: runs/<scenario>/<UTC time>-<id>/, with `latest` beside it pointing to the newest.

Invariant: after `create` a full disk never raises. A writer that cannot write says so once in `warnings` and the run
goes on; a small reserve, given back to the file system just before verdict.json, keeps the verdict writable.
"""

from __future__ import annotations

import json
import os
import platform
import re
import secrets
import shlex
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from emulator.model.errors import EmulationError

RESERVE_BYTES = 128 * 1024  # verdict.json of a run with some hundred flows
PACKAGES = (
    "skyloom", "numpy", "scipy", "sgp4", "polars", "pydantic", "msgpack", "uvloop", "rich", "mininet", "networkx",
    "matplotlib",
)  # fmt: skip


def reason(error: OSError) -> str:
    """What the kernel said, for a message: "No space left on device"."""
    return error.strerror or str(error)


def file_name(name: str) -> str:
    """`name` as one path component: other characters than letters, digits, ".", "_", "-" and "~" become "-"."""
    return re.sub(r"[^\w.~-]", "-", name).lstrip(".")[:60] or "unnamed"


def invoking_user(environment: Mapping[str, str]) -> tuple[int, int] | None:
    """User and group behind sudo, who shall own the folder; None where we are that user already."""
    try:
        uid, gid = int(environment["SUDO_UID"]), int(environment["SUDO_GID"])
    except (KeyError, ValueError):
        return None
    return (uid, gid) if os.geteuid() == 0 and uid != 0 else None


def give(path: Path, owner: tuple[int, int] | None) -> None:
    """Let `owner` own the path; nothing happens for None, or where that is not possible."""
    if owner is not None:
        with suppress(OSError):
            os.chown(path, *owner, follow_symlinks=False)


def write_atomic(path: Path, data: bytes) -> None:
    """Replace `path` by `data` so that a reader sees the old or the new file, never half of one. Raises OSError."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(partial, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError:
        with suppress(OSError):
            partial.unlink()
        raise


def platform_facts(command: Sequence[str]) -> dict[str, Any]:
    """What a reviewer needs to judge a run: versions, kernel, cores, memory, command line. No name of the machine."""
    from importlib.metadata import PackageNotFoundError, version

    packages: dict[str, str] = {}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            packages[name] = version(name)
    return {
        "command": list(command),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "packages": packages,
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "root": os.geteuid() == 0,
    }


class RunFolder:
    """One run's folder. `path` is absolute, `warnings` what could not be written (to be repeated in the verdict)."""

    def __init__(self, path: Path, run_id: str, owner: tuple[int, int] | None = None) -> None:
        self.path = path
        self.run_id = run_id
        self.warnings: list[str] = []
        self._owner = owner

    @classmethod
    def create(
        cls,
        root: Path,
        scenario_name: str,
        run_id: str | None = None,
        now_utc: datetime | None = None,
        owner: tuple[int, int] | None = None,
    ) -> RunFolder:
        """Make the folder with logs/ in it and point `latest` at it.

        `owner` is the user and group to give everything to, by default the user behind sudo. Raises EmulationError
        where the folder cannot be made: nothing runs yet, so this is the moment to say so.
        """
        moment = (now_utc or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
        parent = root.absolute() / file_name(scenario_name)
        owner = owner or invoking_user(os.environ)
        name = run_id or secrets.token_hex(3)
        folder = cls(parent / f"{moment}-{name}", name, owner)
        try:
            missing = [path for path in (parent, *parent.parents) if not path.exists()]
            parent.mkdir(parents=True, exist_ok=True)
            folder.path.mkdir()
            folder.logs.mkdir()
            for path in (*missing, folder.path, folder.logs):
                folder._give(path)
            folder._keep_reserve()
            folder._point_latest()
        except FileExistsError as error:
            raise EmulationError(
                f"run folder {folder.path}: {error.filename or folder.path} exists already; "
                "name another folder or another run id"
            ) from None
        except OSError as error:
            with suppress(OSError):
                folder._drop_empty()
            raise EmulationError(
                f"run folder {folder.path}: {reason(error)}; free some space or name another folder for runs"
            ) from None
        return folder

    @property
    def logs(self) -> Path:
        """Where the text logs are, one file a node."""
        return self.path / "logs"

    def warn(self, text: str) -> None:
        """Note something that a reader of the run must know; each text once."""
        if text not in self.warnings:
            self.warnings.append(text)

    def make_folder(self, name: str) -> Path:
        """A folder in this one, made where it is missing. Raises OSError."""
        path = self.path / name
        missing = [each for each in (path, *path.relative_to(self.path).parents) if not (self.path / each).exists()]
        path.mkdir(parents=True, exist_ok=True)
        for each in missing:
            self._give(self.path / each)
        return path

    def write(self, name: str, data: bytes | str) -> bool:
        """Write a file of the folder, atomically; False and a warning where that fails."""
        path = self.path / name
        try:
            write_atomic(path, data.encode() if isinstance(data, str) else data)
            self._give(path)
        except OSError as error:
            self.warn(f"{name} is not written: {reason(error)}")
            return False
        return True

    def write_scenario(self, text: str, command: Sequence[str] = ()) -> bool:
        """scenario.toml as resolved; version and command line stand above it as comments."""
        lines = [f"# skyloom {platform_facts(())['packages'].get('skyloom', 'unknown')}"]
        if command:
            lines.append("# " + shlex.join(command).encode("unicode_escape").decode())
        return self.write("scenario.toml", "\n".join(lines) + "\n\n" + text)

    def write_platform(self, facts: Mapping[str, Any]) -> bool:
        """platform.json; `platform_facts` collects the usual ones."""
        return self.write("platform.json", json.dumps(dict(facts), indent=2, default=str) + "\n")

    def has_verdict(self) -> bool:
        """Whether verdict.json has been written."""
        return (self.path / "verdict.json").is_file()

    def write_verdict(self, text: str) -> bool:
        """verdict.json, in the space kept free for it."""
        with suppress(OSError):
            self._reserve.unlink()
        return self.write("verdict.json", text)

    def close(self) -> None:
        """Drop the reserve and give every file to the owner of the run."""
        with suppress(OSError):
            self._reserve.unlink()
        if self._owner is not None:
            for parent, folders, files in os.walk(self.path):
                for name in (*folders, *files):
                    self._give(Path(parent) / name)

    def discard(self) -> None:
        """Take back a folder in which nothing was recorded, because the run was refused before it began."""
        self._forget_latest()
        with suppress(OSError):
            self._drop_empty()

    def remove(self) -> None:
        """Delete the folder with all that was recorded; after what was needed has been read from it."""
        self._forget_latest()
        shutil.rmtree(self.path, ignore_errors=True)

    @property
    def _reserve(self) -> Path:
        return self.path / ".reserve"

    def _keep_reserve(self) -> None:
        with open(self._reserve, "xb") as file:
            os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)

    def _point_latest(self) -> None:
        latest = self.path.parent / "latest"
        partial = self.path.parent / f".latest.{self.run_id}"
        partial.symlink_to(self.path.name)
        partial.replace(latest)
        self._give(latest)

    def _forget_latest(self) -> None:
        latest = self.path.parent / "latest"
        with suppress(OSError):
            if os.readlink(latest) == self.path.name:  # noqa: PTH115 - the text of the link, not where it leads
                latest.unlink()

    def _drop_empty(self) -> None:
        with suppress(OSError):
            self._reserve.unlink()
        self.logs.rmdir()
        self.path.rmdir()

    def _give(self, path: Path) -> None:
        give(path, self._owner)

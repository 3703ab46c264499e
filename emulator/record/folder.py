"""The run folder: runs/<scenario>/<UTC time>-<id>/, with the link `latest` to the newest one beside it.

Invariant: after `create` a full disk never raises. A writer that cannot write adds one warning and the run continues; a
small reserve file, removed just before verdict.json is written, keeps room for the verdict.
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
from emulator.model.outputs import write_atomic

RESERVE_BYTES = 128 * 1024  # verdict.json of a run with some hundred flows
PACKAGES = (
    "skyloom", "numpy", "scipy", "sgp4", "polars", "pydantic", "msgpack", "uvloop", "rich", "mininet", "networkx",
    "matplotlib",
)  # fmt: skip


def reason(error: OSError) -> str:
    """The kernel's reason, for a message: "No space left on device"."""
    return error.strerror or str(error)


def file_name(name: str) -> str:
    """`name` as one path component: other characters than letters, digits, ".", "_", "-" and "~" become "-"."""
    return re.sub(r"[^\w.~-]", "-", name).lstrip(".")[:60] or "unnamed"


def invoking_user(environment: Mapping[str, str]) -> tuple[int, int] | None:
    """The user and group behind sudo, who become the owners of the folder; None without sudo."""
    try:
        uid, gid = int(environment["SUDO_UID"]), int(environment["SUDO_GID"])
    except (KeyError, ValueError):
        return None
    return (uid, gid) if os.geteuid() == 0 and uid != 0 else None


def give(path: Path, owner: tuple[int, int] | None) -> None:
    """Make `owner` the owner of the path; does nothing for None, or if that is not possible."""
    if owner is not None:
        with suppress(OSError):
            os.chown(path, *owner, follow_symlinks=False)


def platform_facts(command: Sequence[str]) -> dict[str, Any]:
    """Facts to judge a run by: versions, kernel, cores, memory, command line, but no name of the machine."""
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
    """One run's folder. `path` is absolute; `warnings` lists failed writes, for the verdict."""

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
        """Make the folder with logs/ in it and set `latest` to it.

        `owner` is the user and group that will own all files, by default the user behind sudo. EmulationError if the
        folder cannot be made; nothing runs yet at this time.
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
        """The folder of the text logs, one file for each node."""
        return self.path / "logs"

    def warn(self, text: str) -> None:
        """Add a warning for the reader of the run; each text once."""
        if text not in self.warnings:
            self.warnings.append(text)

    def make_folder(self, name: str) -> Path:
        """A folder in this one, made if it is missing. Raises OSError."""
        path = self.path / name
        missing = [each for each in (path, *path.relative_to(self.path).parents) if not (self.path / each).exists()]
        path.mkdir(parents=True, exist_ok=True)
        for each in missing:
            self._give(self.path / each)
        return path

    def write(self, name: str, data: bytes | str) -> bool:
        """Write a file of the folder atomically; returns False, and adds a warning, if that fails."""
        path = self.path / name
        try:
            write_atomic(path, data.encode() if isinstance(data, str) else data)
            self._give(path)
        except OSError as error:
            self.warn(f"{name} is not written: {reason(error)}")
            return False
        return True

    def write_scenario(self, text: str, command: Sequence[str] = ()) -> bool:
        """Write scenario.toml as resolved, after comments with version and command line."""
        lines = [f"# skyloom {platform_facts(())['packages'].get('skyloom', 'unknown')}"]
        if command:
            lines.append("# " + shlex.join(command).encode("unicode_escape").decode())
        return self.write("scenario.toml", "\n".join(lines) + "\n\n" + text)

    def write_platform(self, facts: Mapping[str, Any]) -> bool:
        """Write platform.json; `platform_facts` collects the usual facts."""
        return self.write("platform.json", json.dumps(dict(facts), indent=2, default=str) + "\n")

    def has_verdict(self) -> bool:
        """Whether verdict.json has been written."""
        return (self.path / "verdict.json").is_file()

    def write_verdict(self, text: str) -> bool:
        """Write verdict.json, into the reserved space."""
        with suppress(OSError):
            self._reserve.unlink()
        return self.write("verdict.json", text)

    def close(self) -> None:
        """Remove the reserve and make the owner of the run the owner of every file."""
        with suppress(OSError):
            self._reserve.unlink()
        if self._owner is not None:
            for parent, folders, files in os.walk(self.path):
                for name in (*folders, *files):
                    self._give(Path(parent) / name)

    def discard(self) -> None:
        """Delete a folder without records, as the run was refused before it began."""
        self._forget_latest()
        with suppress(OSError):
            self._drop_empty()

    def remove(self) -> None:
        """Delete the folder with all records."""
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

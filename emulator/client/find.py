"""Finds a run or sweep folder by its path, by the name of a scenario, by a run's id, or as the latest of all.

Invariant: a folder that `find` returns holds a run (verdict, tables or spools) or a sweep (sweep.json); no file
changes.
"""

from __future__ import annotations

from pathlib import Path

from emulator.model.errors import UsageError

MARKS = ("verdict.json", "*.spool", "*.parquet")


def is_sweep(folder: Path) -> bool:
    """Whether this is the folder of a sweep."""
    return (folder / "sweep.json").is_file()


def is_run(folder: Path) -> bool:
    """Whether this is the folder of a run, finished or not."""
    return folder.is_dir() and not is_sweep(folder) and any(any(folder.glob(mark)) for mark in MARKS)


def find(what: str, runs: Path = Path("runs")) -> Path:
    """The run or sweep folder for a path, "latest" (newest run below `runs`), a scenario's name (its newest run) or a
    run's id (its beginning is enough where one run has it).

    UsageError if there is none.
    """
    path = Path(what)
    if is_run(path) or is_sweep(path):
        return path.resolve()
    folders = [runs / what] if (runs / what).is_dir() and what not in ("", ".", "..") else []
    if what == "latest":
        folders = [folder for folder in runs.iterdir() if folder.is_dir()] if runs.is_dir() else []
    found = max((newest for folder in folders if (newest := _newest(folder))), key=lambda run: run.name, default=None)
    found = found or _by_id(what, runs)
    if found is not None:
        return found.resolve()
    names = sorted(folder.name for folder in runs.iterdir() if _newest(folder)) if runs.is_dir() else []
    known = f"; scenarios with runs here: {', '.join(names)}" if names else f"; there are no runs below {runs}"
    raise UsageError(
        f"{what}: no such run; expected a run or sweep folder, `latest`, a scenario's name or a run's id{known}"
    )


def _by_id(run: str, runs: Path) -> Path | None:
    """The only run whose id begins so."""
    if not run.isalnum():
        return None
    found = [folder for folder in runs.glob(f"*/*Z-{run}*") if is_run(folder)]
    return found[0] if len(found) == 1 else None


def _newest(folder: Path) -> Path | None:
    """The newest run of a scenario: names begin with the time."""
    names = sorted((entry.name for entry in folder.iterdir()), reverse=True) if folder.is_dir() else []
    return next((folder / name for name in names if name != "latest" and is_run(folder / name)), None)

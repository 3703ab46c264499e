"""The folder of a sweep, runs/<scenario>/sweep-<UTC time>-<id>/: one table with a row a run, as JSON, CSV and Parquet.

Invariant: sweep.json is replaced as a whole after every run, so that a sweep that ends in any way leaves a valid
table of what it has. Rows are plain scalars, and no row is ever left out: a run that failed is a row too.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from emulator.model.errors import EXIT_FAIL, EXIT_PASS, DataError, EmulationError
from emulator.model.inputs import check_kinds, parse_json, read_text
from emulator.record.folder import RunFolder, file_name, give, invoking_user, reason
from emulator.record.spool import plain

if TYPE_CHECKING:
    import polars as pl

SCHEMA_VERSION = 1
Row = dict[str, Any]
ABOUT = ("seed", "run", "verdict", "exit_code", "wall_s", "attempts", "error")  # columns that every sweep has
TRUSTED = (EXIT_PASS, EXIT_FAIL)  # how a run ends whose figures may be averaged


def scalars(figures: Mapping[str, Any], prefix: str = "") -> Row:
    """Every scalar of nested maps by its dotted path; lists are left out."""
    found: Row = {}
    for name, value in figures.items():
        if isinstance(value, Mapping):
            found |= scalars(value, f"{prefix}{name}.")
        elif not isinstance(value, list):
            found[prefix + name] = value
    return found


@dataclass
class Sweep:
    """A sweep. `over` gives the swept keys with their values; `rows` has a row for each run, in the order of play."""

    path: Path
    scenario: str
    over: dict[str, list[Any]]
    seeds: int
    command: list[str] = field(default_factory=list)
    analysis: str | None = None
    directory: str = "."
    rows: list[Row] = field(default_factory=list)
    complete: bool = False

    @classmethod
    def create(cls, runs: Path, scenario: str, over: dict[str, list[Any]], seeds: int, **more: Any) -> Sweep:
        """Make the folder. EmulationError where that cannot be done."""
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
        path = runs.absolute() / file_name(scenario) / f"sweep-{moment}-{secrets.token_hex(3)}"
        missing = [folder for folder in path.parents if not folder.exists()]
        try:
            path.mkdir(parents=True)
        except OSError as error:
            raise EmulationError(f"sweep folder {path}: {reason(error)}; name another folder for runs") from None
        for folder in (*missing, path):
            give(folder, invoking_user(os.environ))
        return cls(path, scenario, over, seeds, **more)

    def discard(self) -> None:
        """Remove the folder of a sweep in which no run was possible."""
        with suppress(OSError):
            (self.path / "sweep.json").unlink(missing_ok=True)
            self.path.rmdir()

    def add(self, chosen: Mapping[str, Any], about: Mapping[str, Any], summary: Mapping[str, Any]) -> None:
        """A row: values of the swept keys, what is known of the run (ABOUT), and the scalars of its summary.

        Where a figure has the name of one of these, its column is "summary.NAME".
        """
        row: Row = {**chosen, **about}
        for name, value in scalars(summary).items():
            row[f"summary.{name}" if name in self.over or name in ABOUT else name] = value
        self.rows.append(plain(row))

    def figures(self) -> list[str]:
        """Columns that come from the summaries, in the order of their first appearance."""
        return [name for name in _names(self.rows) if name not in self.over and name not in ABOUT]

    def columns(self) -> list[str]:
        """All columns: swept keys, seed and what is known of the run, figures."""
        return list(dict.fromkeys([*self.over, *ABOUT, *self.figures()]))

    def document(self) -> dict[str, Any]:
        """What sweep.json holds."""
        return {
            "schema_version": SCHEMA_VERSION,
            "scenario": self.scenario,
            "over": self.over,
            "seeds": self.seeds,
            "command": self.command,
            "analysis": self.analysis,
            "directory": self.directory,
            "complete": self.complete,
            "columns": self.columns(),
            "rows": self.rows,
        }

    def save(self) -> None:
        """Replace sweep.json. DataError where the disk refuses."""
        self.write("sweep.json", json.dumps(self.document(), indent=1, ensure_ascii=False) + "\n")

    def save_tables(self) -> None:
        """Write sweep.csv and sweep.parquet."""
        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        self.write("sweep.csv", text.getvalue())
        data = io.BytesIO()
        self.table().write_parquet(data)
        self.write("sweep.parquet", data.getvalue())

    def write(self, name: str, data: bytes | str) -> None:
        """Write a file of the folder, atomically. DataError where the disk refuses."""
        folder = RunFolder(self.path, "", invoking_user(os.environ))
        if not folder.write(name, data):
            raise DataError(f"{self.path}: {folder.warnings[-1]}")

    def table(self) -> pl.DataFrame:
        """A row a run. A column whose values differ in type becomes text."""
        import polars as pl

        columns = []
        for name in self.columns():
            values = [row.get(name) for row in self.rows]
            columns.append(pl.Series(name, *_typed(values)))
        return pl.DataFrame(columns)

    def combinations(self) -> list[tuple[Row, list[Row]]]:
        """For every combination of the swept keys that was played: its values, and its rows."""
        found: dict[str, tuple[Row, list[Row]]] = {}
        for row in self.rows:
            chosen = {key: row.get(key) for key in self.over}
            found.setdefault(json.dumps(list(chosen.values())), (chosen, []))[1].append(row)
        return list(found.values())


def mean_and_error(rows: Iterable[Row], name: str) -> tuple[float, float | None] | None:
    """Mean and standard error of a figure over the runs whose figures can be trusted; no error for one run alone.

    A truth value counts as 1 or 0. None where no run has the figure as a number.
    """
    values = trusted_values(rows, name)
    if not values:
        return None
    mean = math.fsum(values) / len(values)
    if len(values) == 1:
        return mean, None
    variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return mean, math.sqrt(variance / len(values))


def trusted_values(rows: Iterable[Row], name: str) -> list[float]:
    """The values of a figure in the runs whose figures can be trusted, where they are numbers; true counts as 1."""
    trusted = [row.get(name) for row in rows if row.get("exit_code") in TRUSTED]
    return [float(value) for value in trusted if isinstance(value, int | float)]


class Estimate(NamedTuple):
    """The mean of a figure over runs, and how far from it the true mean may lie on either side."""

    runs: int
    mean: float
    half_width: float | None  # of the confidence interval; None for one run alone
    least: float
    most: float


def estimate(rows: Iterable[Row], name: str, confidence: float = 0.95) -> Estimate | None:
    """Mean and confidence interval of a figure by Student's t distribution, over the runs whose figures can be trusted.

    None where no run has the figure as a number.
    """
    from scipy.special import stdtrit  # scipy.stats would take a second to import

    rows = list(rows)
    values = trusted_values(rows, name)
    found = mean_and_error(rows, name)
    if found is None:
        return None
    mean, error = found
    half_width = None if error is None else float(stdtrit(len(values) - 1, (1 + confidence) / 2)) * error
    return Estimate(len(values), mean, half_width, min(values), max(values))


_KINDS = {  # of values in sweep.json
    "scenario": "", "over": {"": [None]}, "seeds": 0, "command": [""], "directory": "", "rows": [{}], "complete": False,
}  # fmt: skip


def load_sweep(path: Path) -> Sweep:
    """The sweep in a folder. DataError where its sweep.json cannot be read."""
    file = path / "sweep.json"
    try:
        document = parse_json(read_text(file))
        if not isinstance(document, dict) or document.get("schema_version") != SCHEMA_VERSION:
            raise ValueError(f"not a sweep of schema version {SCHEMA_VERSION}")
        known = {name: document[name] for name in Sweep.__dataclass_fields__ if name in document}
        check_kinds(known, _KINDS)
        return Sweep(path, **known)
    except OSError as error:
        raise DataError(f"{file}: {error.strerror}") from None
    except (ValueError, TypeError) as error:
        raise DataError(f"{file}: {error}") from None


def _names(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _typed(values: list[Any]) -> tuple[list[Any], pl.DataType]:
    """Values and the narrowest type of column that holds them."""
    import polars as pl

    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int} and all(-(2**63) <= value < 2**63 for value in values if value is not None):
        return values, pl.Int64()
    if kinds <= {int, float}:
        return [None if value is None else float(value) for value in values], pl.Float64()
    if kinds == {bool}:
        return values, pl.Boolean()
    return [None if value is None else str(value) for value in values], pl.String()

"""Opens a run folder for a notebook or a report: `load_run("runs/leo/latest").events` is a polars table.

Invariant: reading never changes the folder. A run that crashed, or still goes on, is read from its spools.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emulator.model.errors import DataError
from emulator.model.inputs import read_text
from emulator.record.events import EVENT_COLUMNS, SAMPLE_COLUMNS
from emulator.record.links import LINK_COLUMNS
from emulator.record.spool import Columns, empty, read_frame
from emulator.record.verdict import Verdict

if TYPE_CHECKING:
    import polars as pl

OWN = ("", "skyloom")  # the program of events that the run itself tells


@dataclass
class Run:
    """A run folder. `verdict` is None until the run has one; tables are read when first asked for, sorted by time."""

    path: Path
    scenario: str  # text of scenario.toml
    verdict: Verdict | None
    lost_bytes: dict[str, int] = field(default_factory=dict)  # by table, of spools that a crash cut short

    @cached_property
    def document(self) -> dict[str, Any]:
        """scenario.toml as a dict, values as they stand in the file. DataError where it is not TOML."""
        try:
            return tomllib.loads(self.scenario)
        except ValueError as error:
            raise DataError(f"{self.path / 'scenario.toml'}: {error}") from None

    @property
    def parameters(self) -> dict[str, Any]:
        """What the scenario's recipe was given, by its own keys; empty where there is no recipe."""
        parameters = self.document.get("parameters", {})
        return dict(parameters) if isinstance(parameters, dict) else {}

    @cached_property
    def events(self) -> pl.DataFrame:
        """What happened: t_s, node, program, kind, data (JSON text)."""
        return self._table("events", EVENT_COLUMNS)

    @cached_property
    def own_events(self) -> pl.DataFrame:
        """Events of the run itself (play, handover, action, …), without those that programs call the same."""
        import polars as pl

        return self.events.filter(pl.col("program").is_in(OWN))

    @cached_property
    def samples(self) -> pl.DataFrame:
        """Metrics: t_s, node, program, name, key, value."""
        return self._table("samples", SAMPLE_COLUMNS)

    @cached_property
    def links(self) -> pl.DataFrame:
        """Link ends, a row an interval; columns as in docs/run-folder.md."""
        return self._table("links", LINK_COLUMNS)

    def _table(self, name: str, columns: Columns) -> pl.DataFrame:
        import polars as pl

        parquet, spool = self.path / f"{name}.parquet", self.path / f"{name}.spool"
        try:
            if parquet.exists() or not spool.exists():
                frame = pl.read_parquet(parquet)
            else:
                frame, self.lost_bytes[name] = read_frame(spool, columns)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise DataError(f"{parquet}: {error}; the run may have failed before it recorded anything") from None
        expected = empty(columns).schema
        wrong = [column for column, kind in expected.items() if frame.schema.get(column) != kind]
        if wrong:
            found = ", ".join(f"{column} {frame.schema.get(column, 'missing')}" for column in wrong)
            raise DataError(f"{parquet}: {found}; expected the columns of {name} as docs/run-folder.md has them")
        return frame.sort("t_s", maintain_order=True)


def load_run(path: str | Path) -> Run:
    """The run in the folder `path`. DataError where there is none or its verdict cannot be read."""
    folder = Path(path)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such run folder; run folders are runs/<scenario>/<time>-<id>")
    scenario, verdict = folder / "scenario.toml", folder / "verdict.json"
    try:
        text = read_text(scenario) if scenario.exists() else ""
        found = Verdict.from_json(read_text(verdict)) if verdict.exists() else None
    except OSError as error:
        raise DataError(f"{folder}: {error.strerror} ({error.filename})") from None
    except ValueError as error:
        raise DataError(f"{verdict}: {error}") from None
    if not text and found is None and not any(folder.glob("*.spool")) and not any(folder.glob("*.parquet")):
        raise DataError(f"{folder}: not a run folder; run folders are runs/<scenario>/<time>-<id>")
    return Run(folder, text, found)

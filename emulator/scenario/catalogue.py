"""Catalogue: the scenarios that come with Skyloom, folders under the `scenarios` package, by their keys `name`.

Invariant: read with tomllib alone, never validated here, so that listing is instant and one broken scenario does not
hide the others.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

SCENARIO_FILE = "scenario.toml"


@dataclass(frozen=True, slots=True)
class Bundled:
    """A bundled scenario: `skyloom run <name>`."""

    name: str
    description: str  # one line; says so where the file cannot be read
    path: Path


def bundled() -> list[Bundled]:
    """All bundled scenarios in alphabetical order."""
    spec = find_spec("scenarios")
    roots = [Path(root) for root in (spec.submodule_search_locations or ())] if spec else []
    files = sorted(file for root in roots for file in root.glob(f"*/{SCENARIO_FILE}"))
    return [_entry(file) for file in files]


def _entry(file: Path) -> Bundled:
    folder = file.parent.name
    try:
        with file.open("rb") as stream:
            data = tomllib.load(stream)
    except (OSError, ValueError) as error:
        return Bundled(folder, f"(cannot be read: {error})", file)
    lines = str(data.get("description", "")).strip().splitlines()
    return Bundled(str(data.get("name", folder)), lines[0] if lines else "", file)

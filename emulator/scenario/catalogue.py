"""Catalogue: the scenarios that come with Skyloom, found by folder name under the `scenarios` package.

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
    return [Bundled(file.parent.name, _description(file), file) for file in files]


def _description(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            text = tomllib.load(stream).get("description", "")
    except (OSError, ValueError) as error:
        return f"(cannot be read: {error})"
    lines = str(text).strip().splitlines()
    return lines[0] if lines else ""

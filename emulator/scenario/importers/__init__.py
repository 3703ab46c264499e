"""Files of other tools as scenarios: docker-compose files and containerlab topologies.

Invariant: pure but for the files that an imported file names; no key is dropped silently: it is taken over, or listed
with its line as a problem (it would change what the software does) or as a warning (it cannot matter here).
"""

from __future__ import annotations

from pathlib import Path

from emulator.model.errors import Problem, ScenarioError
from emulator.scenario.importers.draft import Draft
from emulator.scenario.importers.options import ImportOptions

__all__ = ["Draft", "ImportOptions", "name_of", "read"]


def read(file: Path, label: str, options: ImportOptions) -> Draft:
    """The scenario of a YAML file; `label` names it in messages. ScenarioError with all problems of the file."""
    from emulator.scenario.importers import compose, containerlab, yaml_tree

    root = yaml_tree.read(file, label)
    keys = root.data if isinstance(root.data, dict) else {}
    if "services" in keys:
        draft = compose.read(root, file.parent, label, options)
    elif "topology" in keys:
        draft = containerlab.read(root, file.parent, label, options)
    else:
        expected = "`services` of a docker-compose file, or `topology` of a containerlab file"
        raise ScenarioError([Problem(f"{label}:{root.line}", "", f"neither in {root.kind}", expected)])
    if draft.problems:
        raise ScenarioError(sorted(draft.problems, key=lambda each: int(each.where.rpartition(":")[2])))
    return draft


def name_of(file: Path) -> str:
    """A name for the scenario of a file that has none: that of the file, or of its folder for compose.yaml."""
    stem = file.name.split(".")[0]
    folder = file.resolve().parent.name
    return folder if stem in ("compose", "docker-compose") and folder else stem or "imported"

"""Runs of one small scenario that break, or are stopped, at one place each; prints what came of each as a JSON line.

    python stages.py FOLDER PLACE=HOW …

FOLDER has the topology, topo.py.
PLACE is "module:name" or "module:Class.name", a function that the supervisor calls on its way. HOW is "fail" (it
raises), "leave" (it raises SystemExit) or "stop" (SIGTERM comes as it is called). One process plays all runs, which are
forked from it with their imports done.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from emulator.client import launch
from emulator.record.folder import RunFolder
from emulator.scenario import load

SCENARIO = """
name = "small"
topology = "topo.py"
duration = "100 ms"
analysis = "figures"
[[program]]
name = "sleeps"
nodes = ["a"]
command = ["sleep", "60"]
[capture]
links = ["*"]
"""
FIGURES = "def summarise(run):\n    return {'answer': 42}\n"


def play(folder: Path, place: str, how: str) -> dict[str, Any]:
    """One run with this place broken; what its caller and its folder say of it."""
    module, _, path = place.partition(":")
    owner: Any = import_module(module)
    *classes, name = path.split(".")
    for part in classes:
        owner = getattr(owner, part)
    whole = getattr(owner, name)

    def broken(*args: Any, **options: Any) -> Any:
        setattr(owner, name, whole)
        if how == "fail":
            raise RuntimeError(f"broken at {path}")
        if how == "leave":
            raise SystemExit(3)
        os.kill(os.getpid(), signal.SIGTERM)
        return whole(*args, **options)

    scenario = load(folder / "small.toml")
    run = RunFolder.create(folder / "runs", "small")
    setattr(owner, name, broken)
    handle = launch(scenario, run)
    setattr(owner, name, whole)
    try:
        code = handle.wait()
    except Exception as error:
        return {"place": place, "how": how, "raised": repr(error)}
    verdict = json.loads((run.path / "verdict.json").read_text()) if run.has_verdict() else None
    return {"place": place, "how": how, "code": code, "error": handle.error, "verdict": verdict}


def main() -> None:
    folder, *asked = sys.argv[1:]
    for name, text in (("small.toml", SCENARIO), ("figures.py", FIGURES)):
        Path(folder, name).write_text(text)
    for item in asked:
        place, _, how = item.rpartition("=")
        sys.stdout.write(json.dumps(play(Path(folder), place, how)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

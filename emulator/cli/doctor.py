"""`skyloom doctor`: what this machine can do for a run, how that was found out, and how to get what is missing."""

from __future__ import annotations

import sys
from typing import Annotated

import typer


def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print a JSON object with every capability.")] = False,
) -> None:
    """Try every capability that runs use; exit code 69 if a run cannot work here."""
    from emulator.fabric.probe import Probe, probe_all
    from emulator.model.errors import EXIT_PLATFORM

    engine = Probe(
        "packet engine", _engine, "the library loaded; packets played over a link in memory", "every run: its links",
        "in a checkout `make setup`; otherwise pip install --force-reinstall skyloom", needed=True,
    )  # fmt: skip
    found = probe_all([engine])
    missing = [capability for capability in found if capability.needed and not capability.works]
    if json:
        from dataclasses import asdict
        from json import dumps

        document = {"can_run": not missing, "capabilities": [asdict(capability) for capability in found]}
        sys.stdout.write(dumps(document, indent=2, ensure_ascii=False) + "\n")
    else:
        for capability in found:
            mark = "yes " if capability.works else ("NO  " if capability.needed else "no  ")
            sys.stdout.write(f"{mark} {capability.name:16} {capability.found}\n")
            sys.stdout.write(f"     {'':16} for {capability.enables}; probed: {capability.probed}\n")
            if not capability.works:
                sys.stdout.write(f"     {'':16} to get it: {capability.get}\n")
    if missing:
        names = ", ".join(capability.name for capability in missing)
        sys.stderr.write(f"skyloom: no run can work here; missing: {names}\n")
        raise typer.Exit(EXIT_PLATFORM)
    if not json:
        sys.stdout.write("Runs work here.\n")


def _engine() -> str:
    """What the packet engine was built with. PlatformError where it is missing or does not play as it must."""
    from emulator.link.engine import binding, check
    from emulator.model.errors import PlatformError

    words = f"{binding.library_path()}, built with {binding.built_with()}"
    wrong = check.self_test()
    if wrong:
        raise PlatformError(f"{words}: the self-test failed: {wrong}")
    return f"{words}; the self-test passed"

"""`skyloom cluster check`: whether the machines of a Ray cluster can play a run together, and what forbids it."""

from __future__ import annotations

import sys
from typing import Annotated, Any, Literal

import typer

from emulator.model.printable import aligned, printable


def cluster(
    what: Annotated[Literal["check"], typer.Argument(help="What is asked of the cluster.")],
    address: Annotated[
        str,
        typer.Option(
            "--cluster",
            metavar="HOST:PORT",
            help="Head of the Ray cluster (ray://…: from outside); `auto`: of this machine.",
        ),
    ] = "auto",
    json: Annotated[bool, typer.Option("--json", help="Print a JSON object with everything.")] = False,
) -> None:
    """Ask every machine of a Ray cluster what a run needs; exit code 69 if one cannot work there."""
    from emulator.model.errors import EXIT_PLATFORM
    from emulator.runtime.cluster.ray_check import check

    found = check(address)
    if json:
        from json import dumps

        sys.stdout.write(printable(dumps(found, indent=2, ensure_ascii=False)) + "\n")
    else:
        sys.stdout.write(printable(_text(found)))
    if any(each["forbids"] for each in (*found["machines"], *found["pairs"])):
        raise typer.Exit(EXIT_PLATFORM)


def _text(found: dict[str, Any]) -> str:
    from emulator.report.text import size

    names = ("python", "skyloom", "numpy", "sgp4")
    rows = [
        (
            machine["name"], str(machine["cores"]), size(machine["memory_bytes"]),
            *(machine["versions"].get(name, "") for name in names), "no" if machine["forbids"] else "yes",
        )
        for machine in found["machines"]
    ]  # fmt: skip
    lines = [f"Ray {found['ray']}, {len(rows)} machines"]
    lines.append(aligned(("machine", "cores", "memory", *names, "can run"), rows))
    pairs = [
        (
            " – ".join(pair["between"]), f"{pair['answered']}/{pair['asked']}",
            *(f"{pair[key]:.3f}" if key in pair else "" for key in ("least_ms", "median_ms")),
            f"{pair['clocks_apart_ms']:.3f} ± {pair['clocks_bound_ms']:.3f}" if "clocks_apart_ms" in pair else "",
            f"{pair.get('mtu') or ''}",
        )
        for pair in found["pairs"]
    ]  # fmt: skip
    if pairs:
        lines.append(aligned(("between", "answered", "least ms", "median ms", "clocks apart ms", "mtu"), pairs))
    for each in (*found["machines"], *found["pairs"]):
        name = each.get("name") or " – ".join(each["between"])
        lines += [f"! {name}: {why}" for why in each["forbids"]]
    return "\n".join(line.rstrip("\n") for line in lines) + "\n"

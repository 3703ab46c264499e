"""`skyloom cluster`: `check`, whether the machines of a Ray cluster can play a run together, and what forbids it;
`pod`, a machine that waits for runs; `secret`, the identity by which pods and leads know each other."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from emulator.model.printable import aligned, printable


def cluster(
    what: Annotated[
        Literal["check", "pod", "secret"],
        typer.Argument(help="Check a Ray cluster; wait for runs, as a pod; write a secret for pods."),
    ],
    folder: Annotated[Path | None, typer.Argument(help="Of `secret`: where it is written.")] = None,
    address: Annotated[
        str,
        typer.Option(
            "--cluster",
            metavar="HOST:PORT",
            help="Head of the Ray cluster (ray://…: from outside); `auto`: of this machine.",
        ),
    ] = "auto",
    json: Annotated[bool, typer.Option("--json", help="Print a JSON object with everything.")] = False,
    secret: Annotated[
        Path | None,
        typer.Option(envvar="SKYLOOM_SECRET", metavar="FOLDER", help="Of `pod`: its secret, which leads must have."),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of `pod`: where it waits, on TCP.")] = 7464,
) -> None:
    """Machines for runs. `check` asks every machine of a Ray cluster what a run needs: exit code 69 if one cannot work
    there. `pod` waits for runs on this machine, and plays one host of each. `secret` makes what pods know leads by."""
    from emulator.model.errors import EXIT_PLATFORM, UsageError

    if what == "secret":
        if folder is None:
            raise UsageError("skyloom cluster secret: expected FOLDER, where it is written")
        from emulator.runtime.cluster.pod import make_secret

        return make_secret(folder)
    if folder is not None:
        raise UsageError(f"skyloom cluster {what}: expected nothing after it, found {str(folder)!r}")
    if what == "pod":
        if secret is None:
            raise UsageError("skyloom cluster pod: expected --secret FOLDER, as `skyloom cluster secret` writes it")
        from emulator.runtime.cluster.pod import secret_of, serve

        serve(secret_of(secret), port, _tell)
    from emulator.runtime.cluster.ray_check import check

    found = check(address)
    if json:
        from json import dumps

        sys.stdout.write(printable(dumps(found, indent=2, ensure_ascii=False)) + "\n")
    else:
        sys.stdout.write(printable(_text(found)))
    if any(each["forbids"] for each in (*found["machines"], *found["pairs"])):
        raise typer.Exit(EXIT_PLATFORM)


def _tell(words: str) -> None:
    sys.stdout.write(printable(f"{words}\n"))
    sys.stdout.flush()


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

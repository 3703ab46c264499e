"""`skyloom capture`: packets of link ends of a live run as pcapng, for tshark, Wireshark or a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def capture(
    links: Annotated[
        list[str] | None, typer.Argument(metavar="LINK...", help="Link ends (node:port) and nodes; globs are allowed.")
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Write to standard output as packets come (the default).")
    ] = False,
    to: Annotated[Path | None, typer.Option(help="Write to this file instead of standard output.")] = None,
    filter: Annotated[
        str, typer.Option(help='Which packets, such as "host gs-tokyo and not port 8000".', metavar="EXPRESSION")
    ] = "",
    count: Annotated[int | None, typer.Option(min=1, help="Stop after this many packets.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0, help="Stop after this time.")] = None,
    snaplen: Annotated[int, typer.Option(min=0, help="Bytes kept of each packet; 0: all.")] = 0,
    run: Annotated[str | None, typer.Option(help="Id of the run, where several are live.")] = None,
    install_wireshark: Annotated[
        bool,
        typer.Option("--install-wireshark", help="Install our dissectors, and live links in Wireshark's own list."),
    ] = False,
) -> None:
    """Capture packets where links send them, until Ctrl-C or the end of the run."""
    import os
    import sys
    from math import inf

    from emulator.model.errors import DataError, UsageError

    if install_wireshark:
        if links:
            raise UsageError(f"--install-wireshark with {links[0]!r}; expected either it or links to capture")
        from emulator.record.wireshark import install

        for path in install():
            sys.stdout.write(f"{path}\n")
        return
    if not links:
        raise UsageError("no link to capture; name link ends (node:port) or nodes, such as 'gs-tokyo'")
    if live and to is not None:
        raise UsageError("--live writes to standard output, --to to a file; choose one of them")
    if to is None and os.isatty(1):
        raise UsageError("standard output is a terminal; pipe it (`… | tshark -r -`) or name a file by --to")
    if filter:
        from emulator.scenario.schema.filters import parse

        try:
            parse(filter)
        except ValueError as error:
            raise UsageError(f"--filter: {error}") from None
    from emulator.client.capture import follow

    until_s = seconds if seconds is not None else inf
    if to is None:
        packets = follow(links, sys.stdout.fileno(), snaplen, run, filter=filter, most=count, seconds=until_s)
    else:
        try:
            with open(to, "wb") as file:
                packets = follow(links, file.fileno(), snaplen, run, filter=filter, most=count, seconds=until_s)
        except OSError as error:
            raise DataError(f"{to}: {error.strerror}") from error
    sys.stderr.write(f"{packets} packets\n")

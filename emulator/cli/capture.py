"""`skyloom capture`: packets of link ends of a live run as pcapng, for tshark, Wireshark or a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def capture(
    links: Annotated[list[str], typer.Argument(metavar="NODE:PORT...", help="Link ends; globs are allowed.")],
    live: Annotated[
        bool, typer.Option("--live", help="Write to standard output as packets come (the default).")
    ] = False,
    to: Annotated[Path | None, typer.Option(help="Write to this file instead of standard output.")] = None,
    snaplen: Annotated[int, typer.Option(min=0, help="Bytes kept of each packet; 0: all.")] = 0,
    run: Annotated[str | None, typer.Option(help="Id of the run, where several are live.")] = None,
) -> None:
    """Capture packets where links send them, until Ctrl-C or the end of the run."""
    import os
    import sys

    from emulator.errors import DataError, UsageError

    if live and to is not None:
        raise UsageError("--live writes to standard output, --to to a file; choose one of them")
    if to is None and os.isatty(1):
        raise UsageError("standard output is a terminal; pipe it (`… | tshark -r -`) or name a file by --to")
    from emulator.runtime.tap import follow

    if to is None:
        count = follow(links, sys.stdout.fileno(), snaplen, run)
    else:
        try:
            with open(to, "wb") as file:
                count = follow(links, file.fileno(), snaplen, run)
        except OSError as error:
            raise DataError(f"{to}: {error.strerror}") from error
    sys.stderr.write(f"{count} packets\n")

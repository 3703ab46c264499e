"""`skyloom extcap`: link ends of live runs as interfaces of Wireshark.

Wireshark calls it through the script of `capture --install-wireshark`.

The protocol (wireshark.org, "extcap"): four calls that print lines of {key=value}: list interfaces, list options, list
link types, capture into a pipe. Invariant: where no run answers there are no interfaces, and only a capture
that cannot start is an error.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from emulator.model.network import Network

MOST_INTERFACES = 100  # in Wireshark's list, of one run; more are chosen by name
PATIENCE_S = 2.0  # with a run that does not answer, before Wireshark starts without it


def extcap(words: Annotated[list[str] | None, typer.Argument(hidden=True)] = None) -> None:
    """Answer Wireshark (external capture)."""
    import sys

    from emulator.model.errors import UsageError
    from emulator.record.wireshark import CHOOSE, link_types, options

    asked = _parsed(words or [])
    if asked.interfaces:
        lines = list(_interfaces())
    elif asked.interface is None:
        raise UsageError("no interface; this command is for Wireshark, see `skyloom capture --install-wireshark`")
    elif asked.capture:
        _capture(asked)
        return
    elif asked.dlts:
        lines = link_types()
    elif asked.config:
        lines = options(choose=_parts(asked.interface)[1] == CHOOSE)
    else:
        lines = _refusal(asked.filter) if asked.filter else []
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def _parsed(words: list[str]) -> Namespace:
    """The arguments; those of other versions of Wireshark are passed over."""
    from argparse import ArgumentParser

    parser = ArgumentParser(prog="skyloom extcap", add_help=False, allow_abbrev=False)
    for name, target in (("interfaces", "interfaces"), ("dlts", "dlts"), ("config", "config")):
        parser.add_argument(f"--extcap-{name}", dest=target, action="store_true")
    parser.add_argument("--capture", action="store_true")
    parser.add_argument("--extcap-interface", dest="interface")
    parser.add_argument("--extcap-capture-filter", dest="filter")
    parser.add_argument("--fifo", type=Path)
    parser.add_argument("--links", default="")
    parser.add_argument("--snaplen", default="0")
    return parser.parse_known_args(words)[0]


def _interfaces() -> Iterator[str]:
    import socket

    from emulator import __version__
    from emulator.client.watch import live_runs
    from emulator.model.errors import SkyloomError

    yield f"extcap {{version={__version__}}}{{display=Skyloom}}"
    before_s = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE_S)
    try:
        for run in live_runs():
            try:
                yield from _interfaces_of(run)
            except (SkyloomError, OSError):  # it has just ended, or does not answer in time
                continue
    finally:
        socket.setdefaulttimeout(before_s)


def _interfaces_of(run: str) -> Iterator[str]:
    from emulator.client.mininet_shell import network_of
    from emulator.record.wireshark import CHOOSE, sentence

    network = network_of(run)
    ends = [end for end in range(2 * len(network.links)) if _is_live(network, end)]
    names = {network.end_names(end)[-1]: end for end in reversed(ends)}  # ends that share a port are captured together
    for name, end in list(reversed(names.items()))[:MOST_INTERFACES]:
        yield sentence("interface", value=f"skyloom:{run}:{name}", display=_display(network, end, name))
    yield sentence("interface", value=f"skyloom:{run}:{CHOOSE}", display=f"skyloom: choose links of {run}")


def _is_live(network: Network, end: int) -> bool:
    """Whether one of its nodes runs programs."""
    link = network.links[end // 2]
    return network.nodes[link.a].live or (network.nodes[link.b].live and not link.moving)


def _display(network: Network, end: int, name: str) -> str:
    link = network.links[end // 2]
    far = "satellite in view" if link.moving else network.nodes[link.b].name
    sides = [network.nodes[link.a].name, far]
    return f"skyloom: {' -> '.join(reversed(sides) if end % 2 else sides)} ({name})"


def _parts(interface: str) -> tuple[str, str]:
    """Run and link end of an interface's name. UsageError where it is none of ours."""
    from emulator.model.errors import UsageError

    prefix, _, rest = interface.partition(":")
    run, _, end = rest.partition(":")
    if prefix != "skyloom" or not run or not end:
        raise UsageError(f"interface {interface!r}; expected one of those that --extcap-interfaces lists")
    return run, end


def _refusal(text: str) -> list[str]:
    """What is wrong with a capture filter; nothing where it is good."""
    from emulator.scenario.schema.filters import parse

    try:
        parse(text)
    except ValueError as error:
        return [str(error)]
    return []


def _capture(asked: Namespace) -> None:
    import signal

    from emulator.model.errors import UsageError
    from emulator.record.wireshark import CHOOSE

    if asked.fifo is None:
        raise UsageError("--capture without --fifo; expected the pipe to write to")
    run, end = _parts(asked.interface)
    links = asked.links.split() if end == CHOOSE else [end]
    if not links:
        raise UsageError("no links; name some in the interface's options")
    if not asked.snaplen.isdecimal():
        raise UsageError(f"snaplen {asked.snaplen!r}; expected a number of bytes")
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # how Wireshark ends a capture
    try:
        _capture_into(asked.fifo, links, int(asked.snaplen), run, asked.filter or "")
    finally:
        signal.signal(signal.SIGTERM, before)


def _capture_into(fifo: Path, links: list[str], snaplen: int, run: str, filter: str) -> None:
    import os

    from emulator.client.capture import follow
    from emulator.model.errors import DataError

    try:
        out = os.open(fifo, os.O_WRONLY)
    except OSError as error:
        raise DataError(f"{fifo}: {error.strerror}") from error
    try:
        follow(links, out, snaplen, run, filter=filter)
    except KeyboardInterrupt:  # before the first packet
        pass
    finally:
        os.close(out)

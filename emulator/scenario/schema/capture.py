"""The `[capture]` table of a scenario: which packets are written to the run folder, into which files, up to what."""

from __future__ import annotations

from math import inf
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from emulator.model.errors import Unfit, found_and_expected
from emulator.model.tables import Table
from emulator.model.units import SCALES, Size, parse, split
from emulator.scenario.schema.field_types import Glob, finite
from emulator.scenario.schema.filters import parse as parse_filter


def _capture_filter(value: str) -> str:
    if value:
        parse_filter(value)
    return value


def _rotation(text: str) -> tuple[float, float]:
    """Size and time that a text such as "10 MB" or "60 s" gives; inf for what it does not."""
    if not text:
        return inf, inf
    kind = "duration" if split(text)[1] in SCALES["duration"] else "size"
    value = parse(text, kind)
    return (inf, value) if kind == "duration" else (value, inf)


def _size_or_duration(text: str) -> str:
    expected = "a size or a time above 0, such as '10 MB' or '60 s'"
    try:
        rotation = _rotation(text)
    except ValueError as error:
        raise Unfit(found_and_expected(error)[0], expected) from None
    if min(rotation) <= 0 or (text and min(rotation) == inf):
        raise Unfit(f"{text!r}", expected)
    return text


class Capture(Table):
    """Packets written to the run folder: capture.pcapng, or a file a link."""

    links: tuple[Glob, ...] = ()
    """Names and globs of the link ends to capture, "node:port"; the name of a node means all its link ends."""
    filter: Annotated[str, AfterValidator(_capture_filter)] = ""
    """Which packets: `host NAME|ADDRESS`, `port N`, `proto tcp|udp|icmp`, `node NAME`, `link NODE:PORT` (globs allowed)
    with `and`, `or`, `not` and parentheses, such as "host gs-tokyo and not port 8000"; by default all."""
    per: Literal["run", "link"] = "run"
    """One file for the run (capture.pcapng), or one for each link (capture/<link>.pcapng)."""
    snaplen_bytes: Annotated[Size, AfterValidator(finite)] = 100e3
    """Bytes kept of each packet."""
    max_size_bytes: Size = 1e9
    """Size of all capture files together at which the capture ends."""
    max_packets: Annotated[int, Field(ge=1)] | None = None
    """Packets after which the capture ends."""
    rotate: Annotated[str, AfterValidator(_size_or_duration)] = ""
    """Size or scenario time after which a new file begins, "10 MB" or "60 s": capture-0001.pcapng and so on, each
    complete in itself."""
    keep: Annotated[int, Field(ge=1)] = 5
    """With `rotate`: how many of the newest files are kept, of each link where there is a file a link."""
    keys: bool | None = None
    """Whether programs write down their TLS keys, so that captures can be read in clear; by default where `links` are
    captured."""

    @property
    def rotate_bytes(self) -> float:
        """Size at which a new file begins; inf: never."""
        return _rotation(self.rotate)[0]

    @property
    def rotate_s(self) -> float:
        """Scenario time after which a new file begins; inf: never."""
        return _rotation(self.rotate)[1]

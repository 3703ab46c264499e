"""Two-line (2LE) and three-line (3LE) element sets, thousands at once, every column checked.

Invariant: a set is used only if both lines have the right length, form, checksum and ranges; anything else is a BadSet
with its line. Titles may repeat or be absent. Catalogue numbers from 100000 on stand in five columns as Alpha-5: a
letter without I and O for the first two digits. Sources of the format: CelesTrak, "NORAD Two-Line Element Set";
Space-Track, "Alpha-5".
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from emulator.orbit.element_sets import BadSet, ElementSet, flies_around_the_earth

_CHECKSUM = bytes(code - 48 if 48 <= code <= 57 else int(code == 45) for code in range(256))  # digits; "-" counts 1

# (first column, last column, what it is, form), columns from 1 as in the published format
_LINE_1 = (
    (1, 2, "line number", r"1 "),
    (3, 7, "catalogue number", r"(?:[ 0-9]{4}|[A-HJ-NP-Z][0-9]{3})[0-9]"),
    (8, 9, "classification", r"[UCS ] "),
    (10, 18, "international designator", r"[ 0-9A-Z]{8} "),
    (19, 20, "epoch year", r"\d\d"),
    (21, 33, "epoch day", r"[ \d]{2}\d\.\d{8} "),
    (34, 44, "first derivative of mean motion", r"[ +\-0]\.[\d ]{8} "),
    (45, 53, "second derivative of mean motion", r"[ +\-][\d ]{5}[ +\-]\d "),
    (54, 62, "B*", r"[ +\-][\d ]{5}[ +\-]\d "),
    (63, 64, "ephemeris type of SGP4", r"[ 0-35-9] "),  # 4 is SGP4-XP, whose elements SGP4 would misplace
    (65, 68, "element set number", r"[ \d]{4}"),
    (69, 69, "checksum", r"\d"),
)
_LINE_2 = (
    (1, 2, "line number", r"2 "),
    (3, 8, "catalogue number", r"(?:[ 0-9]{4}|[A-HJ-NP-Z][0-9]{3})[0-9] "),
    (9, 17, "inclination", r"[ \d]{2}\d\.\d{4} "),
    (18, 26, "right ascension", r"[ \d]{2}\d\.\d{4} "),
    (27, 34, "eccentricity", r"\d{7} "),
    (35, 43, "argument of perigee", r"[ \d]{2}\d\.\d{4} "),
    (44, 52, "mean anomaly", r"[ \d]{2}\d\.\d{4} "),
    (53, 63, "mean motion", r"[ \d]\d\.\d{8}"),
    (64, 68, "revolution number", r"[ \d]{5}"),
    (69, 69, "checksum", r"\d"),
)
_FORM_1 = re.compile("".join(form for *_, form in _LINE_1), re.ASCII)
_FORM_2 = re.compile("".join(form for *_, form in _LINE_2), re.ASCII)


def parse(text: str) -> Iterator[ElementSet | BadSet]:
    """The sets of a text, and the lines of it that belong to none."""
    from sgp4.api import Satrec

    for item in _sets(text.splitlines()):
        if isinstance(item, BadSet):
            yield item
            continue
        number, first, second = item
        try:
            _check(number, first, _FORM_1, _LINE_1)
            _check(number + 1, second, _FORM_2, _LINE_2)
            if first[2:7] != second[2:7]:
                raise BadSet(number + 1, f"catalogue number {second[2:7]!r} after {first[2:7]!r} in the line above")
            record = Satrec.twoline2rv(first, second)
            _check_ranges(number, second, record.error)
        except BadSet as problem:
            yield problem
            continue
        yield ElementSet(number, f"{record.satnum:05}", record)


def checksum(line: str) -> int:
    """Last digit of a line: the sum of its digits, with 1 for each minus, modulo 10."""
    return sum(line[:68].encode("ascii", "replace").translate(_CHECKSUM)) % 10


def _sets(lines: list[str]) -> Iterator[tuple[int, str, str] | BadSet]:
    """(number of line 1, line 1, line 2) of each set, and the lines that belong to no set."""
    pending = 0  # number of a line 1 that waits for its line 2
    title = 0  # number of a title that waits for its line 1
    for number, raw in enumerate(lines, 1):
        line = raw.rstrip()
        if line.startswith("2 ") and pending:
            yield pending, lines[pending - 1].rstrip(), line
            pending = title = 0
            continue
        if pending:
            yield BadSet(pending, "line 1 of a set without a line 2 after it")
            pending = 0
        if not line or line.startswith("#"):
            continue
        if line.startswith("1 "):
            pending, title = number, 0
        elif line.startswith("2 "):
            yield BadSet(number, "line 2 of a set without a line 1 before it")
            title = 0
        else:
            if title:
                yield BadSet(title, f"{lines[title - 1].strip()[:30]!r} is neither a line of a set nor its title")
            title = number
    if pending:
        yield BadSet(pending, "line 1 of a set without a line 2 after it")
    elif title:
        yield BadSet(title, f"{lines[title - 1].strip()[:30]!r} is neither a line of a set nor its title")


def _check(number: int, line: str, form: re.Pattern[str], fields: tuple[tuple[int, int, str, str], ...]) -> None:
    if len(line) != 69:
        raise BadSet(number, f"{len(line)} characters; expected 69")
    if not form.fullmatch(line):
        for first, last, what, pattern in fields:
            text = line[first - 1 : last]
            if not re.fullmatch(pattern, text, re.ASCII):
                raise BadSet(number, f"columns {first}-{last}: {text!r} is no {what}")
    found = checksum(line)
    if found != int(line[68]):
        raise BadSet(number, f"checksum {line[68]} in column 69, but the line adds up to {found}")


def _check_ranges(number: int, second: str, error: int) -> None:
    for first, last, what, limit in ((9, 16, "inclination", 180), (18, 25, "right ascension", 360),
                                     (35, 42, "argument of perigee", 360), (44, 51, "mean anomaly", 360)):  # fmt: skip
        if float(second[first - 1 : last]) > limit:
            raise BadSet(
                number + 1, f"columns {first}-{last}: {what} {second[first - 1 : last].strip()}° is above {limit}°"
            )
    if not flies_around_the_earth(float(second[52:63])):
        raise BadSet(
            number + 1, f"columns 53-63: mean motion {second[52:63].strip()} a day is no Earth orbit up to GEO"
        )
    if error:
        raise BadSet(number + 1, f"SGP4 refuses these elements (error {error})")

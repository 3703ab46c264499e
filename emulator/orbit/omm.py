"""Orbit Mean-elements Messages (OMM) in the four syntaxes of CCSDS 502.0-B-3 and CelesTrak: JSON, CSV, XML and KVN.

Invariant: a message is used only if every keyword that SGP4 needs is there once, in the unit and within the range of
the standard; anything else is a BadSet with its line. A keyword that SGP4 does not need is not looked at. CelesTrak's
JSON and CSV leave out what is the same in all messages (centre, frame, time system, theory): it is taken as said.

`sgp4.omm` reads three of the syntaxes, but no catalogue number above 339999, no epoch without a fraction, and it takes
any frame and theory for its own; so the reading is here, and SGP4 itself there.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import StringIO
from math import pi, radians
from typing import Any, Literal
from xml.parsers import expat

from emulator.orbit.element_sets import BadSet, ElementSet, flies_around_the_earth
from emulator.orbit.elements import SGP4_DAY_ZERO_JD, Epoch

Syntax = Literal["json", "csv", "xml", "kvn"]

MOST_SATREC_NUMBER = 339_999  # what SGP4's record can hold; SGP4 does not look at it
REVS_A_DAY = 2 * pi / 1440  # in radians a minute

_FIXED = {
    "CENTER_NAME": ("EARTH",),
    "REF_FRAME": ("TEME",),
    "TIME_SYSTEM": ("UTC",),
    "MEAN_ELEMENT_THEORY": ("SGP4", "SGP/SGP4"),
    "EPHEMERIS_TYPE": ("0", "2", "3"),  # 4 is SGP4-XP, whose elements SGP4 would misplace
}
_UNITS = {
    "MEAN_MOTION": "rev/day",
    "ECCENTRICITY": "",
    "INCLINATION": "deg",
    "RA_OF_ASC_NODE": "deg",
    "ARG_OF_PERICENTER": "deg",
    "MEAN_ANOMALY": "deg",
    "BSTAR": "1/er",
    "MEAN_MOTION_DOT": "rev/day**2",
    "MEAN_MOTION_DDOT": "rev/day**3",
}
_OPTIONAL = ("MEAN_MOTION_DOT", "MEAN_MOTION_DDOT")  # SGP4 takes them and does not use them
_NEEDED = ("EPOCH", *(key for key in _UNITS if key not in _OPTIONAL))
_KNOWN = frozenset((*_FIXED, *_NEEDED, *_OPTIONAL, "NORAD_CAT_ID", "OBJECT_ID"))

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
_WHOLE = re.compile(r"\+?\d{1,9}", re.ASCII)
_DESIGNATOR = re.compile(r"\d{4}-\d{3}[A-Z]{0,3}", re.ASCII)
_EPOCH = re.compile(
    r"(\d{4})-(?:(\d\d)-(\d\d)|(\d{3}))T(\d\d):(\d\d):(\d\d)(\.\d{0,15})?Z?", re.ASCII
)  # CCSDS time code A or B
_KVN = re.compile(r"([A-Z][A-Z0-9_]*)\s*=\s*(.*?)\s*(?:\[([^\[\]]*)\])?", re.ASCII)
_BLANK = re.compile(r"[ \t\r\n]*")


@dataclass(frozen=True, slots=True)
class Value:
    """What a keyword has: its text, the line, and the unit where one is written."""

    text: str
    line: int
    unit: str = ""


@dataclass(slots=True)
class Message:
    """The keywords of one message that matter to SGP4, and the line on which it begins."""

    line: int
    values: dict[str, Value] = field(default_factory=dict)
    bad: BadSet | None = None  # the first thing that makes it unusable

    def put(self, key: str, value: Value) -> None:
        """Note a keyword; one that SGP4 does not need is passed over, one that stands twice makes the message bad."""
        if key not in _KNOWN:
            return
        if key in self.values:
            self.refuse(value.line, f"{key} again, first in line {self.values[key].line}")
        self.values.setdefault(key, value)

    def refuse(self, line: int, reason: str) -> None:
        self.bad = self.bad or BadSet(line, reason)


def syntax_of(text: str) -> Syntax | None:
    """The syntax that a text is meant to be in by its first line; None where it is none of the four."""
    begin = text.lstrip()[:4096]
    if begin[:1] in ("{", "["):
        return "json"
    if begin[:1] == "<":
        return "xml"
    first = begin.split("\n", 1)[0].strip()
    if first.count(",") >= 3 and _KNOWN.intersection(cell.strip(' "') for cell in first.split(",")):
        return "csv"
    return "kvn" if re.match(r"CCSDS_OMM_VERS\s*=|COMMENT\b", first) else None


def parse(text: str, syntax: Syntax) -> Iterator[ElementSet | BadSet]:
    """The messages of a text as element sets; what cannot be used as a BadSet."""
    for message in messages(text, syntax):
        if isinstance(message, BadSet):
            yield message
            continue
        try:
            yield element_set(message)
        except BadSet as problem:
            yield problem


def messages(text: str, syntax: Syntax) -> Iterator[Message | BadSet]:
    """The messages of a text, unchecked; a text that breaks off ends with a BadSet."""
    return {"json": _json, "csv": _csv, "xml": _xml, "kvn": _kvn}[syntax](text)


def element_set(message: Message) -> ElementSet:
    """The SGP4 record of a message. BadSet: what is missing, malformed, out of range, or of another theory."""
    from sgp4.api import WGS72, Satrec

    if message.bad:
        raise message.bad
    for key, allowed in _FIXED.items():
        value = message.values.get(key)
        if value and value.text and value.text.upper().lstrip("+") not in allowed:
            raise BadSet(value.line, f"{key} {value.text[:30]!r}; expected {' or '.join(allowed)}")
    for key in _NEEDED:
        if key not in message.values or not message.values[key].text:
            raise BadSet(message.line, f"a message without {key}")
    identity = _identity(message)
    number = int(identity) if identity.isdigit() else 0
    epoch = _epoch(message.values["EPOCH"])
    angles = {key: _number(message, key) for key in _UNITS}
    _check_ranges(message, angles)
    motion = angles["MEAN_MOTION"] * REVS_A_DAY
    record = Satrec()
    record.sgp4init(
        WGS72, "i", number if number <= MOST_SATREC_NUMBER else 0, epoch.jd - SGP4_DAY_ZERO_JD + epoch.fraction,
        angles["BSTAR"], angles["MEAN_MOTION_DOT"] * REVS_A_DAY / 1440,
        angles["MEAN_MOTION_DDOT"] * REVS_A_DAY / 1440**2, angles["ECCENTRICITY"],
        radians(angles["ARG_OF_PERICENTER"] % 360), radians(angles["INCLINATION"]),
        radians(angles["MEAN_ANOMALY"] % 360), motion, radians(angles["RA_OF_ASC_NODE"] % 360),
    )  # fmt: skip
    if record.error:
        raise BadSet(message.line, f"SGP4 refuses these elements (error {record.error})")
    return ElementSet(message.line, identity, record)


def _identity(message: Message) -> str:
    """The catalogue number, or else, as CCSDS leaves it out at will, the international designator."""
    number, designator = message.values.get("NORAD_CAT_ID"), message.values.get("OBJECT_ID")
    if number and number.text:
        if not _WHOLE.fullmatch(number.text):
            found = f"NORAD_CAT_ID {number.text[:30]!r}"
            raise BadSet(number.line, f"{found}; expected a whole number of up to nine digits")
        return f"{int(number.text):05}"
    if designator is None or not _DESIGNATOR.fullmatch(designator.text):
        expected = "NORAD_CAT_ID, or an OBJECT_ID such as 1998-067A"
        raise BadSet(message.line, f"a message without a catalogue number; expected {expected}")
    return designator.text


def _epoch(value: Value) -> Epoch:
    match = _EPOCH.fullmatch(value.text)
    try:
        if not match:
            raise ValueError
        year, month, day, of_year, hour, minute, second = (int(part or 0) for part in match.groups()[:7])
        if of_year and datetime(year, 1, 1) + timedelta(days=of_year - 1) >= datetime(year + 1, 1, 1):
            raise ValueError
        midnight = datetime(year, month or 1, day or 1, tzinfo=UTC) + timedelta(days=max(of_year, 1) - 1)
        if (match[4] and not of_year) or hour > 23 or minute > 59 or second > 60:  # 60: a leap second
            raise ValueError
    except ValueError:
        expected = "an instant such as 2026-11-23T18:00:00.000 or 2026-327T18:00:00.000"
        raise BadSet(value.line, f"EPOCH {value.text[:40]!r}; expected {expected}") from None
    second_of_day = 3600 * hour + 60 * minute + second + float(f"0{match[8] or ''}")
    return Epoch.of_julian(Epoch.of(midnight).jd, second_of_day / 86400)


def _number(message: Message, key: str) -> float:
    value = message.values.get(key)
    if value is None or (key in _OPTIONAL and not value.text):
        return 0.0
    if not _NUMBER.fullmatch(value.text):
        raise BadSet(value.line, f"{key} {value.text[:30]!r}; expected a number")
    if value.unit and value.unit.strip().lower() != _UNITS[key]:
        raise BadSet(value.line, f"{key} in {value.unit[:30]!r}; expected {_UNITS[key] or 'no unit'}")
    return float(value.text)


def _check_ranges(message: Message, numbers: dict[str, float]) -> None:
    for key, least, most in (("ECCENTRICITY", 0, 0.999999), ("INCLINATION", 0, 180), ("RA_OF_ASC_NODE", -360, 360),
                             ("ARG_OF_PERICENTER", -360, 360), ("MEAN_ANOMALY", -360, 360), ("BSTAR", -1e3, 1e3),
                             ("MEAN_MOTION_DOT", -1e3, 1e3), ("MEAN_MOTION_DDOT", -1e3, 1e3)):  # fmt: skip
        if not least <= numbers[key] <= most:
            value = message.values[key]
            raise BadSet(value.line, f"{key} {value.text[:30]}; expected {least:g} to {most:g}")
    if not flies_around_the_earth(numbers["MEAN_MOTION"]):
        value = message.values["MEAN_MOTION"]
        raise BadSet(value.line, f"MEAN_MOTION {value.text[:30]} a day is no Earth orbit up to GEO")


class _Pairs(list[tuple[str, Any]]):
    """An object of JSON, whose keys may stand twice."""


_DECODER = json.JSONDecoder(object_pairs_hook=_Pairs, parse_int=str, parse_float=str, parse_constant=str)


def _json(text: str) -> Iterator[Message | BadSet]:
    """An object, or an array of them. Each is decoded by itself, so that its line is known."""
    at, line = _past_blanks(text, 0, 1)
    listed = text[at : at + 1] == "["
    if listed:
        at, line = _past_blanks(text, at + 1, line)
    while not (listed and text[at : at + 1] == "]"):
        try:
            pairs, end = _DECODER.raw_decode(text, at)
        except json.JSONDecodeError as error:
            yield BadSet(text.count("\n", 0, error.pos) + 1, f"no JSON: {error.msg}")
            return
        except RecursionError:
            yield BadSet(line, "values nested too deep")
            return
        yield _message_of(pairs, line)
        at, line = _past_blanks(text, end, line + text.count("\n", at, end))
        if not listed:
            break
        if text[at : at + 1] == ",":
            at, line = _past_blanks(text, at + 1, line)
        elif text[at : at + 1] != "]":
            yield BadSet(line, "the array breaks off here; expected ',' or ']'")
            return
    at, line = _past_blanks(text, at + listed, line)
    if at < len(text):
        yield BadSet(line, f"{text[at : at + 20]!r} after the end of the JSON")


def _past_blanks(text: str, at: int, line: int) -> tuple[int, int]:
    match = _BLANK.match(text, at)
    end = match.end() if match else at
    return end, line + text.count("\n", at, end)


def _message_of(pairs: Any, line: int) -> Message | BadSet:
    if not isinstance(pairs, _Pairs):
        return BadSet(line, f"{str(pairs)[:30]!r} where an object of keywords was expected")
    message = Message(line)
    for key, value in pairs:
        if value is not None and not isinstance(value, str) and key in _KNOWN:
            message.refuse(line, f"{key} is {'a list or an object' if isinstance(value, list) else str(value).lower()}")
        else:
            message.put(key, Value((value or "").strip() if isinstance(value, str) else "", line))
    return message


def _csv(text: str) -> Iterator[Message | BadSet]:
    """A header of keywords, and a row a message."""
    rows = csv.reader(StringIO(text), strict=True)
    header: list[str] = []
    before = 0
    while True:
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield BadSet(before + 1, f"no CSV: {error}")
            return
        line, before = before + 1, rows.line_num
        if not any(cell.strip() for cell in cells):
            continue
        if not header:
            header = [cell.strip() for cell in cells]
            lacking = [key for key in _NEEDED if key not in header]
            if lacking:
                yield BadSet(line, f"a header without {', '.join(lacking)}")
                return
            continue
        message = Message(line)
        if len(cells) != len(header):
            message.refuse(line, f"{len(cells)} cells; expected {len(header)} as in the header")
        for key, cell in zip(header, cells, strict=False):
            message.put(key, Value(cell.strip(), line))
        yield message


def _xml(text: str) -> Iterator[Message | BadSet]:
    """`<omm>`, or an `<ndm>` of them; other messages of an `<ndm>` are passed over."""
    reader = _XmlReader()
    try:
        reader.parser.Parse(text.encode(), True)
    except expat.ExpatError as error:
        reader.found.append(BadSet(error.lineno, f"no XML: {expat.ErrorString(error.code)}"))
    except BadSet as problem:
        reader.found.append(problem)
    yield from reader.found


class _XmlReader:
    """Takes the leaves of each `<omm>` as keywords. A document type is refused: it could define endless entities."""

    def __init__(self) -> None:
        self.found: list[Message | BadSet] = []
        self.parser = parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = self._text, self._doctype
        self._message: Message | None = None
        self._leaf: tuple[str, int, str] | None = None  # of the element that may be a keyword: name, line, unit
        self._said = ""
        self._depth = 0

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name, line = name.rpartition(":")[2], self.parser.CurrentLineNumber
        if not self._depth and name not in ("omm", "ndm"):
            raise BadSet(line, f"<{name[:30]}> is no orbit message; expected <omm> or <ndm>")
        self._depth += 1
        if name == "omm":
            self._message = Message(line)
        self._leaf, self._said = (name, line, attributes.get("units", "")), ""

    def _end(self, name: str) -> None:
        self._depth -= 1
        if self._message and self._leaf:
            key, line, unit = self._leaf
            self._message.put(key, Value(self._said.strip(), line, unit))
        self._leaf = None
        if self._message and name.rpartition(":")[2] == "omm":
            self.found.append(self._message)
            self._message = None

    def _text(self, text: str) -> None:
        if self._leaf and len(self._said) < 1000:  # no keyword that matters is longer
            self._said += text

    def _doctype(self, *_: object) -> None:
        raise BadSet(self.parser.CurrentLineNumber, "a document type (<!DOCTYPE …>); expected an OMM without one")


def _kvn(text: str) -> Iterator[Message | BadSet]:
    """Lines KEYWORD = value [unit]; each message begins with CCSDS_OMM_VERS."""
    message: Message | None = None
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip()
        if not line or re.match(r"COMMENT\b", line):
            continue
        match = _KVN.fullmatch(line)
        if match and match[1] == "CCSDS_OMM_VERS":
            if message:
                yield message
            message = Message(number)
        elif message is None:
            yield BadSet(number, f"{line[:30]!r} before the first CCSDS_OMM_VERS")
            return
        elif not match:
            message.refuse(number, f"{line[:30]!r}; expected KEYWORD = value")
        else:
            message.put(match[1], Value(match[2], number, match[3] or ""))
    if message:
        yield message

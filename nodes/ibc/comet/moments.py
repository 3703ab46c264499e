"""Times as CometBFT writes them: RFC 3339 in UTC with up to nine digits after the second.

Invariant: years 1 to 9999, without a clock and without floats; what is written is read back equal.
"""

from __future__ import annotations

import re

from emulator.model.errors import Unfit
from nodes.ibc.proto.well_known import Timestamp

_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?Z", re.ASCII)
_DAY = 86_400  # seconds
_EPOCH = 719_468  # days from 0000-03-01 to 1970-01-01
_ERA = 146_097  # days of 400 years


def read_time(text: str) -> Timestamp:
    """The moment that a text names. ValueError where it names none."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise Unfit(f"time {text!r}", "a form such as 2026-11-30T12:00:00.5Z")
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    days = _days(year, month, day)
    if not (year and _date(days) == (year, month, day) and hour < 24 and minute < 60 and second < 60):
        raise Unfit(f"time {text!r}", "a day of the calendar and a time of the day")
    nanos = int((match[7] or "").ljust(9, "0"))
    return Timestamp(days * _DAY + hour * 3600 + minute * 60 + second, nanos)


def write_time(moment: Timestamp) -> str:
    """A moment as text. ValueError outside of the years 1 to 9999."""
    days, second = divmod(moment.seconds, _DAY)
    year, month, day = _date(days)
    if not (1 <= year <= 9999 and 0 <= moment.nanos < 10**9):
        raise Unfit(f"time {moment.seconds} s and {moment.nanos} ns", "one of the years 1 to 9999")
    fraction = f".{moment.nanos:09}".rstrip("0").rstrip(".")
    return f"{year:04}-{month:02}-{day:02}T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}{fraction}Z"


def shown(moment_ns: int) -> str:
    """Nanoseconds since 1970 for a person: as text where there is one."""
    try:
        return write_time(Timestamp.of_ns(moment_ns))
    except ValueError:
        return f"{moment_ns} ns"


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970 of a date of the Gregorian calendar; years begin in March, so that leap days come last."""
    year -= month < 3
    of_year = (153 * ((month - 3) % 12) + 2) // 5 + day - 1
    return year * 365 + year // 4 - year // 100 + year // 400 + of_year - _EPOCH


def _date(days: int) -> tuple[int, int, int]:
    """Year, month and day of a number of days since 1970."""
    era, in_era = divmod(days + _EPOCH, _ERA)
    year = (in_era - in_era // 1460 + in_era // 36_524 - in_era // 146_096) // 365
    in_year = in_era - (365 * year + year // 4 - year // 100)
    from_march = (5 * in_year + 2) // 153
    month = from_march + 3 if from_march < 10 else from_march - 9
    return era * 400 + year + (month < 3), month, in_year - (153 * from_march + 2) // 5 + 1

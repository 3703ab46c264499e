"""Skyloom's readers of element sets as gpconf asks for them: `python -m gpconf run --adapter tests.support…:Reader`."""

from __future__ import annotations

from math import degrees, pi
from typing import Any

from emulator.orbit import omm, tle
from emulator.orbit.element_sets import BadSet, ElementSet

REVS_A_DAY = 1440 / (2 * pi)


class Reader:
    """Every set that is read, and every one that is refused with its reason."""

    def parse(self, raw: bytes, form: str) -> list[dict[str, Any]]:
        text = raw.decode("utf-8")
        found: list[dict[str, Any]] = [{"_adapter": {"refusals": True}}]
        if form in ("tle", "2le"):
            lines = text.split("\n")
            sets = tle.parse(text)
            return found + [_refused(item, lines) if isinstance(item, BadSet) else _record(item) for item in sets]
        for message in omm.messages(text, form):  # type: ignore[arg-type]
            if isinstance(message, BadSet):
                found.append(_refused(message, text.split("\n")))
                continue
            try:
                record = _record(omm.element_set(message))
            except BadSet as problem:
                number = message.values.get("NORAD_CAT_ID")
                found.append({"_refused": problem.reason, "_field": number.text if number else ""})
                continue
            record["object_id"] = message.values["OBJECT_ID"].text or None
            found.append(record)
        return found

    def alpha5_decode(self, field: str) -> int:
        return int(_only(tle.parse(_lines(field))).identity)

    def parse_catalog_id(self, text: str) -> int:
        return int(_only(omm.parse(KVN.format(number=text, epoch="2026-09-21T00:00:00"), "kvn")).identity)

    def parse_epoch(self, text: str) -> Any:
        from emulator.orbit.elements import Epoch

        record = _only(omm.parse(KVN.format(number="5", epoch=text), "kvn")).record
        return Epoch.of_julian(record.jdsatepoch, record.jdsatepochF).datetime().replace(tzinfo=None)


KVN = """CCSDS_OMM_VERS = 2.0
EPOCH = {epoch}
MEAN_MOTION = 15.5
ECCENTRICITY = .001
INCLINATION = 51.6
RA_OF_ASC_NODE = 10
ARG_OF_PERICENTER = 20
MEAN_ANOMALY = 30
NORAD_CAT_ID = {number}
BSTAR = 0
"""
LINES = (
    "1 {}U 19029D   22257.46316094  .00217935  00000+0  35067-2 0  999",
    "2 {}  53.0028  47.8601 0007663 290.4472  69.5712 15.5168600618196",
)


def _lines(field: str) -> str:
    lines = [line.format(field) for line in LINES]
    return "\n".join(f"{line}{tle.checksum(line)}" for line in lines)


def _only(items: Any) -> ElementSet:
    (item,) = items
    if isinstance(item, BadSet):
        raise ValueError(item.reason)
    assert isinstance(item, ElementSet)
    return item


def _refused(bad: BadSet, lines: list[str]) -> dict[str, Any]:
    line = lines[bad.line - 1]
    return {"_refused": bad.reason, "_field": line[2:7], "_input": line[-80:]}


def _record(item: ElementSet) -> dict[str, Any]:
    from emulator.orbit.elements import Epoch

    record = item.record
    return {
        "norad_cat_id": int(item.identity) if item.identity.isdigit() else None,
        "epoch": Epoch.of_julian(record.jdsatepoch, record.jdsatepochF).datetime().replace(tzinfo=None),
        "mean_motion": record.no_kozai * REVS_A_DAY,
        "eccentricity": record.ecco,
        "inclination": degrees(record.inclo),
        "ra_of_asc_node": degrees(record.nodeo),
        "arg_of_pericenter": degrees(record.argpo),
        "mean_anomaly": degrees(record.mo),
        "bstar": record.bstar,
        "mean_motion_dot": record.ndot * REVS_A_DAY * 1440,
        "mean_motion_ddot": record.nddot * REVS_A_DAY * 1440**2,
    }

"""OMM in its four syntaxes: the same orbit from each, nine-digit numbers, every kind of bad message with its line."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.model.errors import DataError
from emulator.orbit.element_files import read
from emulator.orbit.omm import messages, parse, syntax_of
from emulator.orbit.propagate import Propagator

ISS: dict[str, Any] = {
    "OBJECT_NAME": "ISS (ZARYA)", "OBJECT_ID": "1998-067A", "EPOCH": "1998-11-20T06:49:59.999808",
    "MEAN_MOTION": 16.05064833, "ECCENTRICITY": 0.0125362, "INCLINATION": 51.5908, "RA_OF_ASC_NODE": 168.3788,
    "ARG_OF_PERICENTER": 86.4185, "MEAN_ANOMALY": 359.7454, "EPHEMERIS_TYPE": 0, "CLASSIFICATION_TYPE": "U",
    "NORAD_CAT_ID": 25544, "ELEMENT_SET_NO": 1, "REV_AT_EPOCH": 0, "BSTAR": 0.00021,
    "MEAN_MOTION_DOT": -0.00003657, "MEAN_MOTION_DDOT": 0.000011563,
}  # fmt: skip
NOMINAL = {**ISS, "NORAD_CAT_ID": 799501621, "OBJECT_ID": "", "EPOCH": "1998-324T06:50:00Z"}


def as_json(*sets: dict[str, Any]) -> str:
    return json.dumps(list(sets), indent=1)


def as_csv(*sets: dict[str, Any]) -> str:
    return "\n".join([",".join(sets[0]), *(",".join(str(value) for value in each.values()) for each in sets)]) + "\n"


def as_kvn(*sets: dict[str, Any]) -> str:
    return "\n".join("\n".join(["CCSDS_OMM_VERS = 2.0", *(f"{key} = {value}" for key, value in each.items())])
                     for each in sets)  # fmt: skip


def as_xml(*sets: dict[str, Any]) -> str:
    bodies = ("\n".join(f"<{key}>{value}</{key}>" for key, value in each.items()) for each in sets)
    omms = "".join(
        f'<omm id="CCSDS_OMM_VERS"><body><segment><data>\n{body}\n</data></segment></body></omm>\n' for body in bodies
    )
    return f'<?xml version="1.0"?>\n<ndm>\n{omms}</ndm>\n'


SYNTAXES = {"json": as_json, "csv": as_csv, "xml": as_xml, "kvn": as_kvn}


@pytest.fixture
def file(tmp_path):
    def write(text: str | bytes) -> Path:
        path = tmp_path / "sets.omm"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_every_syntax_gives_the_same_orbit_and_numbers_of_nine_digits(file, syntax: str) -> None:
    assert syntax_of(SYNTAXES[syntax](ISS)) == syntax
    satellites = read(file(SYNTAXES[syntax](ISS, NOMINAL)))
    assert satellites.names == ("sat-25544", "sat-799501621")
    assert satellites.epoch.text() == "1998-11-20T06:50:00Z"
    tle = read(file(
        "1 25544U 98067A   98324.28472222 -.00003657  11563-4  21000-3 0    17\n"
        "2 25544  51.5908 168.3788 0125362  86.4185 359.7454 16.05064833    05\n"
    ))  # fmt: skip
    ours, theirs = (Propagator(each).teme(np.array([0.0, 3000.0]))[0][:, :1] for each in (satellites, tle))
    assert np.abs(ours - theirs).max() < 10  # metres: the TLE's epoch is rounded to half a millisecond


@pytest.mark.parametrize(("epoch", "said"), [("T18:30:15", "T18:30:15Z"), ("T18:30:15.", "T18:30:15Z"),
                                             ("T18:30:15.0Z", "T18:30:15Z"), ("T23:59:59.", "T23:59:59Z")])  # fmt: skip
def test_an_epoch_has_its_time_of_day_with_and_without_a_fraction(file, epoch: str, said: str) -> None:
    satellites = read(file(SYNTAXES["json"]({**ISS, "EPOCH": f"2026-11-23{epoch}"})))
    assert satellites.epoch.text() == f"2026-11-23{said}"


def test_sgp4s_own_reader_gives_the_same_positions() -> None:
    from sgp4 import omm
    from sgp4.api import Satrec

    theirs = Satrec()
    omm.initialize(theirs, {key: str(value) for key, value in ISS.items()})
    (ours,) = parse(as_json(ISS), "json")
    for minutes in (0.0, 100.0, 5000.0):
        assert ours.record.sgp4_tsince(minutes)[1] == pytest.approx(theirs.sgp4_tsince(minutes)[1], rel=1e-9)


def changed(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in {**ISS, **values}.items() if value is not None}


BAD = {
    "no number": (changed(NORAD_CAT_ID=None, OBJECT_ID=None), "without a catalogue number"),
    "ten digits": (changed(NORAD_CAT_ID=1234567890), "up to nine digits"),
    "no motion": (changed(MEAN_MOTION=None), "a message without MEAN_MOTION"),
    "empty": (changed(BSTAR=""), "a message without BSTAR"),
    "words": (changed(INCLINATION="steep"), "INCLINATION 'steep'; expected a number"),
    "not finite": (changed(BSTAR="nan"), "BSTAR 'nan'; expected a number"),
    "too steep": (changed(INCLINATION=181), "INCLINATION 181; expected 0 to 180"),
    "hyperbola": (changed(ECCENTRICITY=1.5), "ECCENTRICITY 1.5"),
    "day": (changed(EPOCH="2026-02-30T00:00:00"), "EPOCH '2026-02-30T00:00:00'; expected an instant"),
    "day of year": (changed(EPOCH="2025-366T00:00:00"), "expected an instant"),
    "last day": (changed(EPOCH="9999-12-31T24:00:00"), "expected an instant"),
    "moon": (changed(CENTER_NAME="MOON"), "CENTER_NAME 'MOON'; expected EARTH"),
    "frame": (changed(REF_FRAME="ICRF"), "REF_FRAME 'ICRF'; expected TEME"),
    "theory": (changed(MEAN_ELEMENT_THEORY="SGP4-XP"), "expected SGP4 or SGP/SGP4"),
    "SGP4-XP": (changed(EPHEMERIS_TYPE=4), "EPHEMERIS_TYPE '4'"),
    "ground": (changed(MEAN_MOTION=19), "no Earth orbit"),
    "decayed": (changed(MEAN_MOTION=17.9, ECCENTRICITY=0.5), "SGP4 refuses"),
}


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("kind", BAD)
def test_a_bad_message_is_named_by_line_and_may_be_left_out(file, kind: str, syntax: str) -> None:
    values, part = BAD[kind]
    path = file(SYNTAXES[syntax](changed(NORAD_CAT_ID=5, **dict.fromkeys(set(values) - set(ISS), "")), values)
                if syntax == "csv" else SYNTAXES[syntax](changed(NORAD_CAT_ID=5), values))  # fmt: skip
    if syntax == "csv":
        rows = [{key: row.get(key, "") for key in {**ISS, **values}} for row in (changed(NORAD_CAT_ID=5), values)]
        path = file(as_csv(*rows))
    with pytest.raises(DataError) as caught:
        read(path)
    assert part in str(caught.value)
    line = int(str(caught.value).removeprefix(f"{path}:").split()[0])
    assert line > 1
    left = read(path, skip_bad=True)
    assert (left.names, left.skipped) == (("sat-00005",), 1)


BROKEN = {
    "cut JSON": (as_json(ISS)[:-60], "no JSON"),
    "JSON without its bracket": (as_json(ISS)[:-1], "the array breaks off"),
    "JSON goes on": (as_json(ISS) + "x", "'x' after the end"),
    "key twice": (as_json(ISS).replace('"BSTAR"', '"BSTAR": 0, "BSTAR"'), "BSTAR again"),
    "number of numbers": ("[1, 2]", "'1' where an object"),
    "list as a value": ('[{"EPOCH": [1]}]', "EPOCH is a list"),
    "deep JSON": ("[" * 100_000, "nested too deep"),
    "cut CSV": (as_csv(ISS)[:-30], "cells; expected 17"),
    "open quote": (as_csv(ISS) + '"', "no CSV"),
    "column missing": ("OBJECT_NAME,EPOCH,INCLINATION,BSTAR\n", "a header without MEAN_MOTION"),
    "cut XML": (as_xml(ISS)[:-30], "no XML"),
    "entities": ('<!DOCTYPE x [<!ENTITY a "b">]><omm>&a;</omm>', "a document type"),
    "another root": ("<html><body/></html>", "<html> is no orbit message"),
    "element twice": (as_xml(ISS).replace("<BSTAR>", "<BSTAR>0</BSTAR><BSTAR>"), "BSTAR again, first in line 18"),
    "KVN without an equals sign": (as_kvn(ISS) + "\nEPOCH", "'EPOCH'; expected KEYWORD = value"),
    "KVN twice": (as_kvn(ISS) + "\nBSTAR = 0", "BSTAR again"),
    "KVN without a begin": ("COMMENT x\nEPOCH = 2", "before the first CCSDS_OMM_VERS"),
    "wrong unit": (as_kvn(ISS).replace("51.5908", "51.5908 [rad]"), "INCLINATION in 'rad'; expected deg"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_text_is_refused(file, kind: str) -> None:
    text, part = BROKEN[kind]
    with pytest.raises(DataError) as caught:
        read(file(text))
    assert part in str(caught.value)


def test_units_and_comments_of_kvn_and_keywords_of_others_are_read(file) -> None:
    text = (
        as_kvn(ISS)
        .replace("51.5908", "51.5908 [deg]")
        .replace("\nEPOCH", "\nCOMMENT a = b\n\nUSER_DEFINED_X = 1\nEPOCH")
    )
    assert read(file(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())).names == ("sat-25544",)
    assert read(file(as_kvn(changed(NORAD_CAT_ID=None)))).names == ("sat-1998-067A",)


@settings(max_examples=150)
@given(st.sampled_from(sorted(SYNTAXES)), st.data())
def test_no_mutation_gives_anything_but_sets_and_refusals(syntax: str, data) -> None:
    text = SYNTAXES[syntax](ISS, NOMINAL)
    at = data.draw(st.integers(0, len(text)))
    cut = data.draw(st.integers(0, 40))
    text = text[:at] + data.draw(st.text(max_size=8)) + text[at + cut :]
    other = data.draw(st.sampled_from(sorted(SYNTAXES)))
    began_s = time.process_time()
    found = list(parse(text, syntax))  # type: ignore[arg-type]
    assert len(found) <= 4
    list(messages(text, other))  # type: ignore[arg-type]
    assert time.process_time() - began_s < 2


@pytest.mark.skipif(find_spec("gpconf") is None, reason="the conformance corpus `gpconf` (PyPI) is not installed")
def test_gpconf_finds_no_failure(tmp_path) -> None:
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "gpconf", "run", "--adapter", "tests.support.gpconf_reader:Reader",
               "--data", str(tmp_path), "--no-fetch-hint", "--json", str(report)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3])
    assert " 0 fail," in done.stdout, done.stdout
    assert " 3 pass within tolerance" in done.stdout

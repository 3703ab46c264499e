"""Element-set files: forms that are read, and every kind of bad line with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.model.errors import DataError
from emulator.orbit.element_files import read
from emulator.orbit.tle import checksum

ORBITS = Path(__file__).resolve().parents[4] / "shared/data/orbits/tle"
A1 = "1 44238U 19029D   22257.46316094  .00217935  00000+0  35067-2 0  9992"
A2 = "2 44238  53.0028  47.8601 0007663 290.4472  69.5712 15.51686006181960"
B1 = "1 44057U 19010A   22257.20365923  .00000199  00000+0  48632-3 0  9993"
B2 = "2 44057  87.9123 141.9130 0002574  59.6606 300.4780 13.16594606171036"


def changed(line: str, column: int, text: str) -> str:
    """The line with `text` from `column` (from 1) on, and a right checksum."""
    line = line[: column - 1] + text + line[column - 1 + len(text) :]
    return line[:68] + str(checksum(line))


@pytest.fixture
def file(tmp_path):
    def write(*lines: str, end: str = "\n") -> Path:
        path = tmp_path / "sets.tle"
        path.write_bytes(end.join(lines).encode())
        return path

    return write


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_two_and_three_line_sets_and_comments(file, end: str) -> None:
    two = read(file(A1, A2, B1, B2, end=end))
    three = read(file("# two satellites", "0 STARLINK-24", A1, A2, "", "ONEWEB-0012            ", B1, B2, "", end=end))
    assert two.names == three.names == ("sat-44238", "sat-44057")
    assert two.epoch == three.epoch
    assert two.epoch.text() == "2022-09-14T11:06:57Z"  # the latest
    assert three.skipped == 0


def test_titles_may_repeat_and_may_not_be_ascii(file) -> None:
    assert len(read(file("Ω", A1, A2, "Ω", B1, B2))) == 2


BAD = {
    "checksum": ([A1[:-1] + "3", A2], 1, "checksum 3 in column 69, but the line adds up to 2"),
    "checksum of line 2": (["TITLE", A1, A2[:-1] + "9"], 3, "checksum 9"),
    "too short": ([A1[:-4], A2], 1, "63 characters; expected 69"),
    "too long": ([A1, A2 + "7"], 2, "70 characters"),
    "letter in a number": ([A1, changed(A2, 12, "x")], 2, "columns 9-17: ' 53x0028 ' is no inclination"),
    "shifted column": ([changed(A1, 19, " 2225"), A2], 1, "columns 19-20"),
    "inclination": ([A1, changed(A2, 9, "181.0000")], 2, "inclination 181.0000° is above 180°"),
    "mean motion": ([A1, changed(A2, 53, " 0.10000000")], 2, "mean motion"),
    "other satellite": ([A1, B2], 2, "catalogue number '44057' after '44238'"),
    "line 2 missing": ([A1, B1, B2], 1, "without a line 2"),
    "line 1 missing": ([A2, B1, B2], 1, "without a line 1"),
    "last line missing": ([B1, B2, A1], 3, "without a line 2"),
    "two titles": (["ONE", "TWO", A1, A2], 1, "'ONE' is neither"),
    "web page": (["<html>", "<body>", "</html>"], 1, "<html> is no orbit message"),
    "twice the same": ([A1, A2, A1, A2], 3, "catalogue number 44238 again, first in line 1"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_line_is_named_by_file_and_line(file, kind: str) -> None:
    lines, number, part = BAD[kind]
    path = file(*lines)
    with pytest.raises(DataError) as caught:
        read(path)
    assert f"{path}:{number}  " in str(caught.value)
    assert part in str(caught.value)
    assert "--skip-bad" in str(caught.value)


def test_skip_bad_leaves_out_and_counts(file) -> None:
    satellites = read(file(A1[:-1] + "3", A2, B1, B2), skip_bad=True)
    assert satellites.names == ("sat-44057",)
    assert satellites.skipped == 1


def test_many_bad_lines_are_counted(file) -> None:
    with pytest.raises(DataError, match="and 4 more"):
        read(file(*[A1[:-1] + "3", A2] * 9))


@pytest.mark.parametrize("skip_bad", [False, True])
def test_no_set_at_all_is_an_error(file, skip_bad: bool) -> None:
    with pytest.raises(DataError, match="no usable element set"):
        read(file("", "# nothing"), skip_bad=skip_bad)
    with pytest.raises(DataError):
        read(file(A1), skip_bad=skip_bad)


def test_missing_and_unreadable_files(tmp_path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read(tmp_path / "nowhere.tle")
    with pytest.raises(DataError, match="cannot be read"):
        read(tmp_path)


def test_binary_rubbish_is_refused(tmp_path) -> None:
    path = tmp_path / "x.tle"
    path.write_bytes(bytes(range(256)) * 20)
    with pytest.raises(DataError):
        read(path)


@pytest.mark.skipif(not ORBITS.is_dir(), reason="reference data ../shared/data/orbits/tle is absent")
def test_real_files_have_no_bad_line() -> None:
    assert len(read(ORBITS / "starlink-2022-09-14.tle")) == 3023
    assert len(read(ORBITS / "oneweb-2022-09-14.tle")) == 426

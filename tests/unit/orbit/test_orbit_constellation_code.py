"""The constellation code of draft-piraux-space-constellation-code: its examples, and texts that are none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.orbit.elements import Epoch
from emulator.orbit.grid import joined, walker_grid
from emulator.orbit.propagate import Propagator
from emulator.orbit.walker import Walker, constellation_of, parse, parse_code

EXAMPLES = {
    "S:780:86.4:66/6/1": Walker(6, 11, 86.4, 780e3, 1, 180.0),
    "S:1200:87.9:672/12/11": Walker(12, 56, 87.9, 1200e3, 11, 180.0),
    "D:550:53:1584/72/39": Walker(72, 22, 53.0, 550e3, 39),
    "D:20180:55:24/6/1": Walker(6, 4, 55.0, 20180e3, 1),
    "D:550:53:24/6/1:15.5": Walker(6, 4, 53.0, 550e3, 1, 360.0, 15.5),
}
EPOCH = Epoch(2_461_041.5, 0.0)


@pytest.mark.parametrize("text", EXAMPLES)
def test_the_examples_of_the_draft(text: str) -> None:
    assert parse_code(text) == (EXAMPLES[text],)


def test_the_code_of_a_delta_is_the_shell_of_its_walker_text() -> None:
    assert parse_code("D:550:53:1584/72/17") == (parse("53.0:1584/72/17", 550e3),)


def test_several_shells_follow_each_other_and_are_not_joined() -> None:
    shells = parse_code("D:550:53:24/6/1+S:780:86.4:66/6/1")
    satellites = constellation_of(shells, EPOCH)
    assert (len(satellites), satellites.names[0], satellites.names[24]) == (90, "sat-1-0101", "sat-2-0101")
    grid = joined([walker_grid(shell) for shell in shells], [shell.total for shell in shells])
    assert ((grid.a < 24) == (grid.b < 24)).all()
    assert len(grid) == sum(len(walker_grid(shell)) for shell in shells)


def test_the_mean_anomaly_turns_every_orbit() -> None:
    plain, turned = (
        Propagator(constellation_of(parse_code(f"D:550:53:8/1/0{more}"), EPOCH)).teme(np.zeros(1))[0][0]
        for more in ("", ":45")
    )
    assert np.abs(turned[:-1] - plain[1:]).max() < 10.0


BAD = ("", "D", "D:550:53:1584/72", "X:550:53:1/1/0", "D:550:53:10/3/0", "D:550:53:10/0/0",
       "D:550:181:1/1/0", "D:1:53:1/1/0",
       "D:550:53:6/3/3", "D:550:53:6/3/0:361", "D:550:53:6/3/0+", "d:550:53:6/3/0",
       "D:550:53:6/3/0:1:2", "D:-1:53:1/1/0",
       "+".join(["D:550:53:1/1/0"] * 51), "D:550:53:100001/1/0", "D:٥٥٠:53:1/1/0")  # fmt: skip


@pytest.mark.parametrize("text", BAD)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_code(text)


@given(st.text(alphabet="DS:/.+0123456789", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        shells = parse_code(text)
    except ValueError:
        return
    assert all(shell.total <= 100_000 for shell in shells)

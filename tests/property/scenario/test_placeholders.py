"""Placeholders: what fills, what is refused, and that nothing else can happen to a text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.model.errors import Unfit
from emulator.scenario.placeholders import Addresses, Place, check, fill

ADDRESSES = {
    "e0": Addresses("10.0.0.1", "fd00::1"),
    "e1": Addresses("10.0.0.2", "fd00::2"),
    "relay": Addresses("10.0.0.9", ""),
    "switch": Addresses("", ""),
}
PLACE = Place("e1", 1, ADDRESSES, ("e0", "e1", "relay"), "/lab")


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("", ""),
        ("etcd --name {node}", "etcd --name e1"),
        ("{index} of {{both}}", "1 of {both}"),
        ("http://{address}:2380", "http://10.0.0.2:2380"),
        ("[{address6}] [{address6:e0}] {address:relay}", "[fd00::2] [fd00::1] 10.0.0.9"),
        ("{nodes:e*}", "e0,e1"),
        ("{addresses:*}", "10.0.0.1,10.0.0.2,10.0.0.9"),
        ("{nodes:e*|{node}=http://{address}:2380}", "e0=http://10.0.0.1:2380,e1=http://10.0.0.2:2380"),
        ("{nodes:e*|{index}}", "0,1"),
        ("{nodes:[er]?|x}", "x,x"),
        ("{directory}/server.py", "/lab/server.py"),
    ],
)
def test_it_fills(text: str, filled: str) -> None:
    assert fill(check(text), PLACE) == filled


def test_items_are_joined_as_asked() -> None:
    assert fill("{nodes:e*|{node}:{address}}", PLACE, join=" ") == "e0:10.0.0.1 e1:10.0.0.2"


@pytest.mark.parametrize(
    "text",
    ["{", "}", "{}", "{nodde}", "{node:e0}", "{nodes}", "{nodes:}", "{address:e0|x}", "{nodes:*|{x}}", "{print $1}",
     "{nodes:*|{", "a}b", "{{node}", "{index:1}"],
)  # fmt: skip
def test_it_is_refused_when_the_scenario_is_loaded(text: str) -> None:
    with pytest.raises(Unfit, match="which is no placeholder"):
        check(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{address:e7}", "no node 'e7'"),
        ("{address:switch}", "switch without an IPv4 address"),
        ("{address6:relay}", "relay without an IPv6 address"),
        ("{nodes:x*}", "which matches nothing"),
        ("{nodes:*|{address6}}", "relay without an IPv6 address"),
    ],
)
def test_it_does_not_fill_in_this_network(text: str, found: str) -> None:
    with pytest.raises(Unfit, match=found):
        fill(check(text), PLACE)


@given(st.text())
def test_any_text_is_itself_once_its_braces_are_doubled(text: str) -> None:
    doubled = text.replace("{", "{{").replace("}", "}}")
    assert fill(check(doubled), PLACE) == text


PIECES = st.sampled_from(["{", "}", "{{", "}}", ":", "|", "*", "node", "nodes", "address", "{node}", "{nodes:*|", "x "])


@given(st.lists(PIECES).map("".join))
def test_what_is_accepted_fills_or_is_unfit(text: str) -> None:
    try:
        filled = fill(check(text), PLACE)
    except Unfit:
        return
    assert "{node}" not in filled or "{{" in text

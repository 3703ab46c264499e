"""Lists of measured round trips, hosts at named sites, and what deviations become."""

from __future__ import annotations

from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.model.errors import DataError
from emulator.model.network import BuildOptions
from topologies.wan import Config, build
from topologies.wan.maps import csv

LIST = "from,to,rtt,deviation\nparis,tokyo,210,2\ntokyo,paris,214,\nlima,paris,170,1 # a comment\ntokyo,lima,190,3\n"


def test_a_list_is_a_map() -> None:
    map = csv(LIST, "list.csv")
    assert map.sites == ("paris", "tokyo", "lima")
    assert map.rtt_ms == ((0.0, 210.0, 170.0), (214.0, 0.0, 190.0), (170.0, 190.0, 0.0))
    assert map.deviation_ms[0] == (0.0, 2.0, 1.0)
    assert map.deviation_ms[1] == (0.0, 0.0, 3.0)
    assert map.part(("lima", "tokyo")).deviation_ms == ((0.0, 3.0), (3.0, 0.0))


def test_columns_may_stand_in_any_order_and_measurements_are_averaged() -> None:
    map = csv("rtt,from,to\n100,a,b\n104,a,b\n", "x")
    assert map.rtt_ms[0][1] == map.rtt_ms[1][0] == 102.0
    assert map.deviation_ms[0][1] == 2.0


BAD = {
    "from,to,rtt\na,b,0\n": "x:2: found '0'; expected a round trip above 0",
    "from,to,rtt\na,b\n": "x:2: 2 cells; expected 3",
    "from,to,rtt\na,b,far\n": "x:2: rtt: found 'far'",
    "from,to,rtt,via\na,b,1,c\n": "x:1: column 'via'",
    "from,to,rtt\na b,c,1\n": "x:1: site 'a b'",
    "from,to,rtt\na,b,1\nb,c,1\n": "no round trip between a and c",
    "from,to,rtt\n": "1 rows",
    "from,to,rtt,deviation\na,b,1,-1\n": "deviation: found '-1'",
}


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_list_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(DataError) as caught:
        csv(text, "x")
    assert BAD[text] in str(caught.value)


def made(tmp_path, text: str = LIST, **wan):
    (tmp_path / "list.csv").write_text(text)
    return build(Config.model_validate({"wan": {"matrix": "list.csv", **wan}}), BuildOptions(directory=str(tmp_path)))


def test_a_deviation_becomes_jitter_about_the_measured_mean(tmp_path) -> None:
    builder = made(tmp_path, hosts=3)
    trunk = builder.links[3]
    sigma_s = 2e-3 / sqrt(2)
    assert trunk.forward.effects.jitter_s == pytest.approx(sqrt(3) * sigma_s)
    assert trunk.backward.effects.jitter_s == 0.0
    row = next(builder.timeline.rows(0, 1))
    way_s = row.delay_start_s[0] + row.delay_start_s[6] + trunk.forward.effects.jitter_s + row.delay_start_s[3]
    assert way_s == pytest.approx(0.105)
    assert made(tmp_path, hosts=3, jitter="1 ms").links[3].forward.effects.jitter_s == 1e-3


def test_hosts_stand_at_the_sites_that_they_name(tmp_path) -> None:
    builder = made(tmp_path, places={"db": "lima", "a": "", "b": ""})
    assert [node.name for node in builder.nodes] == ["db", "a", "b", "paris", "tokyo", "lima"]
    assert builder.extra["sites"] == {"paris": ["a"], "tokyo": ["b"], "lima": ["db"]}
    row = next(builder.timeline.rows(0, 1))
    assert row.peer[0] == 5
    with pytest.raises(DataError, match="places"):
        made(tmp_path, places={"db": "mars"})
    with pytest.raises(DataError, match="name of a site"):
        made(tmp_path, places={"lima": "lima"})
    with pytest.raises(ValueError, match="one of us-east-1"):
        Config.model_validate({"wan": {"places": {"db": "mars"}}})


@given(st.text(alphabet="ab,.\n0123456789-x", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        csv(f"from,to,rtt,deviation\n{text}", "x")
    except DataError:
        return

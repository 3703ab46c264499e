"""Tables: the rule that names keys, strict scalars, and configs made from dataclasses."""

from __future__ import annotations

import pytest
from pydantic import Field, ValidationError
from scenario_fakes import NotANode, Probe, Shell

from emulator.model.tables import Table, key_of, plain, table_of


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("step_s", "step"),
        ("rate_bps", "rate"),
        ("size_bytes", "size"),
        ("altitude_m", "altitude"),
        ("lateness_p99_s", "lateness_p99"),
        ("min_elevation_deg", "min_elevation_deg"),
        ("peers", "peers"),
        ("_s", "_s"),
    ],
)
def test_keys_have_no_unit(name: str, key: str) -> None:
    assert key_of(name) == key


def test_a_table_takes_keys_and_not_field_names() -> None:
    assert Shell.model_validate({"altitude": "550 km"}).altitude_m == 550e3
    with pytest.raises(ValidationError, match="altitude_m"):
        Shell.model_validate({"altitude": "550 km", "altitude_m": 3})


def test_tables_do_not_change() -> None:
    shell = Shell.model_validate({"altitude": "550 km"})
    with pytest.raises(ValidationError, match="frozen"):
        shell.planes = 3


def test_a_field_differs_from_its_default_whether_or_not_it_was_given() -> None:
    class Loss(Table):
        share: float = 0.5
        bursts: list[int] = Field(default_factory=list)

    same = Loss.model_validate({"share": 0.5, "bursts": []})
    assert [same.differs(name) for name in ("share", "bursts")] == [False, False]
    other = Loss.model_validate({"share": 0.25, "bursts": [3]})
    assert [other.differs(name) for name in ("share", "bursts")] == [True, True]


@pytest.mark.parametrize("value", ["72", 72.0, True, None])
def test_scalars_are_strict(value: object) -> None:
    with pytest.raises(ValidationError):
        Shell.model_validate({"altitude": "550 km", "planes": value})


def test_a_dataclass_becomes_a_table_with_its_defaults() -> None:
    model = table_of(Probe.Config)
    assert table_of(Probe.Config) is model
    values = plain(model.model_validate({"rates": ["1 kbit/s"], "loss": "50 %", "size": "1 KiB", "tags": {"a": 1}}))
    assert values == {
        "to": [], "interval_s": 0.05, "rate_bps": float("inf"), "size_bytes": 1024.0, "loss": 0.5, "count": 10,
        "tags": {"a": 1}, "rates_bps": [1000.0],
    }  # fmt: skip
    assert Probe.Config(**values).interval_s == 0.05


def test_nested_dataclasses_follow_the_same_rules() -> None:
    class Outer(Table):
        backoff: Probe.Backoff

    outer = Outer.model_validate({"backoff": {"first": "1 s"}})
    assert plain(outer) == {"backoff": {"first_s": 1.0, "factor": 2.0}}
    with pytest.raises(ValidationError, match="first_s"):
        Outer.model_validate({"backoff": {"first_s": "1 s"}})


def test_what_is_no_dataclass_is_refused() -> None:
    with pytest.raises(TypeError, match="expected a dataclass"):
        table_of(NotANode)

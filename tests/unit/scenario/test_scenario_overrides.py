"""`--set`: key paths as errors print them, values as TOML or plain text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scenario_fakes import GOOD, write

from emulator.model.errors import Problem, ScenarioError
from emulator.scenario import Scenario, load
from emulator.scenario.toml.overrides import value_of


def with_overrides(folder: Path, *items: str) -> Scenario:
    return load(write(folder, GOOD), overrides=items)


@pytest.mark.parametrize(
    ("item", "path", "value"),
    [
        ("seed=9", "seed", 9),
        ("duration=90s", "duration_s", 90.0),
        ('duration = "1.5 min"', "duration_s", 90.0),
        ("name=other", "name", "other"),
        ("shell.planes=36", "tables.shell.planes", 36),
        ("shell.walker=53.0:1584/72/17", "tables.shell.walker", "53.0:1584/72/17"),
        ("ground.station.paris.latitude_deg=-1.5", "tables.ground.stations.1.latitude_deg", -1.5),
        ("ground.station.0.latitude_deg=2", "tables.ground.stations.0.latitude_deg", 2.0),
        ("program.probe.config.interval=50ms", "programs.0.config_values.interval_s", 0.05),
        ("program.1.start=2s", "programs.1.start_s", 2.0),
        ('program.server."environment".LANG=de', "programs.1.environment.LANG", "de"),
        ("action.0.links.0=gs-paris:up", "actions.0.links.0", "gs-paris:up"),
        ("materialise=['sat-*','gs-x']", "materialise", ("sat-*", "gs-x")),
        ("capture.links=['gs-tokyo:*']", "capture.links.0", "gs-tokyo:*"),
        ("capture.snaplen=96B", "capture.snaplen_bytes", 96.0),
        ("skip_bad=true", "skip_bad", True),
    ],
)
def test_values_arrive(tmp_path: Path, item: str, path: str, value: object) -> None:
    found: Any = with_overrides(tmp_path, item)
    for part in path.split("."):
        by_key = part.isdigit() or isinstance(found, dict)
        found = found[int(part) if part.isdigit() else part] if by_key else getattr(found, part)
    assert found == value
    assert type(found) is type(value)


def test_the_last_of_two_wins(tmp_path: Path) -> None:
    assert with_overrides(tmp_path, "seed=1", "seed=2").seed == 2


@pytest.mark.parametrize(
    ("item", "key", "found", "expected"),
    [
        ("shell.plans=3", "shell.plans", "unknown key 'plans'", "did you mean 'planes'?"),
        ("shel.planes=3", "shel", "unknown key 'shel'", "did you mean 'shell'?"),
        ("program.prob.start=1s", "", "`program` has no 'prob'", "did you mean 'probe'?"),
        ("program.7.start=1s", "", "`program` has no '7'", "'probe', 'server'"),
        ("program.probe.config.intervall=1s", "program.probe.config.intervall", "unknown", "did you mean 'interval'?"),
        ("program.probe.name=server", "program.1.name", "a second time", "differ"),
        ("seed", "", "'seed'", "KEY=VALUE"),
        ("=3", "", "''", "KEY=VALUE"),
        ("a..b=3", "", "'a..b'", "KEY=VALUE"),
        ("seed.x=3", "", "`seed` has no keys", "a table"),
        ("duration=60", "duration", "60: a number without a unit", "a duration"),
        ("duration=0s", "duration", "0 s", "above 0"),
        ("capture.snaplen=5", "capture.snaplen", "5: a number without a unit", "a size"),
    ],
)
def test_mistakes_name_the_option(tmp_path: Path, item: str, key: str, found: str, expected: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        with_overrides(tmp_path, item)
    (problem,) = caught.value.problems
    assert problem.key == key
    assert found in problem.found
    assert expected in problem.expected
    if key != "program.1.name":  # the second of the two names stands in the file
        assert problem.where == f"--set {item.partition('=')[0].strip()}"


def test_mistakes_of_options_and_of_the_file_come_together(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError) as caught:
        load(write(tmp_path, GOOD.replace("seed = 7", "seed = -7")), overrides=["shell.plans=3", "nonsense"])
    assert [problem.key for problem in caught.value.problems] == ["seed", "", "shell.plans"]


def test_an_override_can_mend_the_file(tmp_path: Path) -> None:
    assert load(write(tmp_path, GOOD.replace("seed = 7", "seed = -7")), overrides=["seed=7"]).seed == 7


def test_printed_key_paths_can_be_set(tmp_path: Path) -> None:
    """Whatever path an error prints, `--set` takes it."""
    path = write(tmp_path, GOOD.replace("latitude_deg = 48.9", 'latitude_deg = "north"').replace("10 s", "x"))
    with pytest.raises(ScenarioError) as caught:
        load(path)
    keys = [problem.key for problem in caught.value.problems]
    assert keys == ["ground.station.paris.latitude_deg", "action.0.at"]
    mended = load(path, overrides=[f"{keys[0]}=48.9", f"{keys[1]}=10s"])
    assert mended == load(write(tmp_path, GOOD))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("true", True),
        ("'x'", "x"),
        ("x", "x"),
        ("12 ms", "12 ms"),
        ("[1, 2]", [1, 2]),
        ("{a = 1}", {"a": 1}),
        ("", ""),
        ("1\nseed = 2", "1\nseed = 2"),
        ("3 # c", 3),
    ],
)
def test_values_are_toml_or_text(text: str, value: object) -> None:
    assert value_of(text) == value


def test_a_problem_prints_with_place_key_found_and_wanted() -> None:
    text = str(Problem("leo.toml:31", "shell.planes", "0", "more than 0"))
    assert text == "leo.toml:31  shell.planes\n  found     0\n  expected  more than 0"

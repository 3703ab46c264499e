"""Consensus rules as plug-ins, and Shoal: small DAGs by hand, a committee in memory, and the page that explains it."""

from __future__ import annotations

import re
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from nodes.dagbft.consensus.bullshark import Bullshark
from nodes.dagbft.consensus.coin import SeededCoin
from nodes.dagbft.consensus.committee import Committee
from nodes.dagbft.consensus.core import Commit, Consensus, Rules
from nodes.dagbft.consensus.dag import Block
from nodes.dagbft.consensus.rule import BUILT_IN, rule_class
from nodes.dagbft.consensus.run_file import feed
from nodes.dagbft.primary.config import PrimaryConfig
from nodes.dagbft.simulate.network import uniform
from nodes.dagbft.simulate.simulation import Settings, Simulation

ROOT = Path(__file__).parents[4]
PAGE = ROOT / "docs" / "adding-a-consensus-rule.md"
SHOAL = Rules("shoal")  # leaders in turn: author 0 of round 1, author 1 of round 2


class Patient(Bullshark):
    """The rule of a package that is not installed: a quorum of references commits a leader."""

    @property
    def support(self) -> int:
        return self._dag.committee.quorum


def dag(*rounds: dict[int, str]) -> list[Block]:
    """Rounds from 1 on: by author the authors of its parents, as digits."""
    return [
        Block(number, author, sum(1 << int(parent) for parent in parents))
        for number, blocks in enumerate(rounds, 1)
        for author, parents in blocks.items()
    ]


def everybody(parents: str = "0123", authors: str = "0123") -> dict[int, str]:
    return {int(author): parents for author in authors}


def leaders(blocks: list[Block], rules: Rules = SHOAL) -> list[tuple[int, int]]:
    _, events = feed(blocks, Committee(4), rules, SeededCoin(Committee(4), 0))
    return [event.leader for event in events if isinstance(event, Commit)]


# Names


@pytest.mark.parametrize("name", BUILT_IN)
def test_rules_of_this_project_are_found_by_name(name: str) -> None:
    assert Consensus(Committee(4), Rules(name)).rule.last == 0


def test_a_rule_is_found_by_module_and_class() -> None:
    assert isinstance(Consensus(Committee(4), Rules(f"{__name__}:Patient")).rule, Patient)


def test_an_installed_rule_is_found_by_its_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    points = EntryPoints([EntryPoint("patient", f"{__name__}:Patient", "skyloom.consensus")])
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: points)
    assert rule_class("patient") is Patient
    full = dag({0: "", 1: "", 2: "", 3: ""}, everybody(), everybody())
    assert leaders(full[:-2], Rules("psync")) == [(2, 0)]
    assert leaders(full[:-2], Rules("patient")) == []
    assert leaders(full[:-1], Rules("patient")) == [(2, 0)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("raft", "'raft'; expected one of asynchronous, psync, shoal, or package.module:Class of a rule"),
        ("no.such.module:Rule", "expected a rule that can be imported: No module named"),
        ("nodes.dagbft.consensus.shoal:Shaol", "expected a rule that can be imported: .* has no attribute 'Shaol'"),
    ],
)
def test_what_is_no_rule_is_refused(name: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Rules(name)


# Shoal


def test_a_leader_a_round_commits_with_two_references_in_the_next() -> None:
    blocks = dag(everybody(""), everybody(), everybody(), everybody())
    assert leaders(blocks) == [(1, 0), (2, 1), (3, 2)]
    assert leaders(blocks[:5]) == []
    assert leaders(blocks[:6]) == [(1, 0)]


def test_an_instance_whose_first_leader_is_missing_ends_with_its_second() -> None:
    """No block (2, 1): the instance of rounds 2, 4, 6 orders (4, 3) first, and round 3 has no leader."""
    blocks = dag(everybody(""), everybody(authors="023"), everybody("023"), everybody(), everybody(), everybody())
    assert leaders(blocks) == [(1, 0), (4, 3), (5, 0)]


def test_a_leader_with_one_reference_comes_first_where_the_next_one_has_it_in_its_past() -> None:
    """(2, 1) is referenced by (3, 1) only. Once (4, 3) is committed it is the first of its instance; then the
    references that are there already commit a leader of rounds 3 and 4 at once."""
    third = {0: "023", 1: "0123", 2: "023", 3: "023"}
    blocks = dag(everybody(""), everybody(), third, everybody(), everybody())
    assert leaders(blocks[:16]) == [(1, 0)]
    assert leaders(blocks[:17]) == [(1, 0)]
    assert leaders(blocks[:18]) == [(1, 0), (2, 1), (3, 2), (4, 3)]


def test_a_leader_that_nobody_reaches_is_passed_over() -> None:
    third = {0: "023", 1: "0123", 2: "023", 3: "023"}
    fourth = {0: "023", 1: "0123", 2: "023", 3: "023"}
    blocks = dag(everybody(""), everybody(), third, fourth, everybody(), everybody())
    assert leaders(blocks)[:3] == [(1, 0), (4, 3), (5, 0)]


@pytest.mark.parametrize("gone", [(), (2,)])
def test_shoal_orders_in_a_committee_and_a_restart_goes_on(gone: tuple[int, ...]) -> None:
    settings = Settings(n=4, delay=uniform(0.03), primary=PrimaryConfig(Rules("shoal"), leader_timeout_s=0.3))
    run = Simulation(settings).start(*gone).run(6)
    run.crash(1)
    run.run(1)
    run.restart(1)
    run.run(6)
    alive = [number for number in range(4) if number not in gone]
    logs = sorted((run.log(number) for number in alive), key=len)
    assert all(logs[-1].startswith(log) for log in logs)
    commits = run.validators[1].history.commits()
    rounds = [commit.leader[0] for commit in commits]
    assert rounds == sorted(set(rounds))
    assert len(rounds) > (60 if not gone else 15)
    assert all(run.validators[number].primary.consensus.check.wrong == 0 for number in alive)


def test_shoal_commits_blocks_sooner_than_bullshark() -> None:
    """Mean time from making a block to its order, without faults: a leader a round against one in two rounds."""

    def mean_s(rule: str) -> float:
        rules = Rules(rule, early=False)
        run = Simulation(Settings(n=4, delay=uniform(0.05), primary=PrimaryConfig(rules))).start().run(10)
        history = run.validators[0].history
        times = history.commit_times()
        waits = [times[round, 0] - made_s for round, (made_s, _) in history.made.items() if (round, 0) in times]
        return sum(waits) / len(waits)

    assert mean_s("shoal") < 0.9 * mean_s("psync")


# The page


def test_the_page_shows_the_rule_as_it_is() -> None:
    shown = re.search(r"```python\n# (nodes/\S+)\n(.*?)```", PAGE.read_text(), re.S)
    assert shown is not None
    assert shown[2] == (ROOT / shown[1]).read_text()


def test_the_page_says_all_that_a_rule_must_say() -> None:
    for part in ("leader", "add", "chain", "may_lead", "settled", "last"):
        assert f"| `{part}" in PAGE.read_text(), part

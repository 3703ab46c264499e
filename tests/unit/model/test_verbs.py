"""The table of verbs, and that every room handles each of its rows: a verb added without a handler fails here."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any, get_args

import polars as pl
import pytest
from pydantic import ValidationError

from emulator.link.engine import engine
from emulator.link.overrides import Faults
from emulator.model import verbs
from emulator.model.clock import MonotonicClock
from emulator.model.errors import UsageError
from emulator.model.network import EndSpec, LinkSpec, Network, NodeSpec, PiecewiseSchedule
from emulator.model.verbs import KEYS, VALUE_NAMES, VALUES, VERBS, Verb, VerbName
from emulator.observe.replay.altered import Altered
from emulator.observe.replay.programs import PastJobs
from emulator.record import packet_comments
from emulator.report import fault_spans
from emulator.runtime.actions.runner import ActionRunner, due
from emulator.scenario.schema.action import Action
from emulator.scenario.schema.models import Scenario
from emulator.ui.terminal import faults as screen

EVERY = pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
TARGETS: dict[str, Any] = {"nodes": ["a"], "links": ["a:x"], "groups": [["a"], ["b"]]}
ARGUMENTS: dict[str, Any] = {"loss": 0.5, "command": ["true"]}
IN_A_FILE: dict[str, Any] = {**TARGETS, "loss": "50 %", "command": ["true"]}


def network() -> Network:
    end = EndSpec(schedule=PiecewiseSchedule.constant())
    nodes = tuple(NodeSpec(name, "host", True, f"10.0.0.{number}") for number, name in enumerate("ab", 1))
    return Network(nodes, (LinkSpec("a:x", 0, 1, "x", "y", end, end),))


def action(verb: Verb, source: dict[str, Any] = TARGETS | ARGUMENTS) -> dict[str, Any]:
    """One action of the verb, with the first of its targets and of its arguments that stands in `source`."""
    keys = [next((key for key in some if key in source), None) for some in (verb.targets, verb.arguments)]
    return {"do": verb.name, **{key: source[key] for key in keys if key is not None}}


class _Jobs:
    """Programs that note what is done to them."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def matching(self, nodes: Any, program: Any) -> list[str]:
        return ["a"]

    def crash(self, jobs: Any) -> None:
        self.done.append("crash")

    async def restart(self, jobs: Any) -> None:
        self.done.append("restart")


class Bench:
    """An action runner on a network of one link; `done` is everything that it did."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.orders: list[dict[str, Any]] = []
        self.jobs = _Jobs()
        self.faults = Faults(network(), self.orders.append)
        self.runner = ActionRunner(
            self.faults, self.jobs, ["a", "b"], lambda kind, data: self.events.append((kind, data)),
            lambda node, index, command, expect: self.jobs.done.append(f"exec on {node}"),
        )  # fmt: skip

    def perform(self, given: dict[str, Any]) -> None:
        asyncio.run(self.runner.perform(given))

    @property
    def done(self) -> list[Any]:
        return [*self.orders, *self.jobs.done]


def undone_first(verb: Verb) -> list[dict[str, Any]]:
    """What must have been done for the verb to have something to do."""
    return [action(VERBS[verb.undoes])] if verb.undoes else []


def test_every_name_has_its_row() -> None:
    assert get_args(VerbName) == tuple(VERBS)
    assert all(verb.undone_by is None or verb.undone_by in VERBS for verb in VERBS.values())


@EVERY
def test_the_runner_performs_it_and_leaves_an_event(verb: Verb) -> None:
    bench = Bench()
    for before in undone_first(verb):
        bench.perform(before)
    done, given = len(bench.done), action(verb)
    bench.perform(given)
    assert len(bench.done) > done
    assert bench.events[-1] == ("action", given)


@EVERY
def test_what_lasts_is_taken_back(verb: Verb) -> None:
    if not verb.lasts:
        assert not verb.colour
        return
    assert verb.colour
    bench = Bench()
    bench.perform(action(verb))
    assert bool(bench.faults.altered) == (verb.acts_on == "links")
    bench.perform(verbs.undoing(action(verb)))
    assert not bench.faults.altered


@EVERY
def test_a_scenario_may_ask_for_it_with_its_keys_only(verb: Verb) -> None:
    given = action(verb, IN_A_FILE)
    read = Action.model_validate({"at": "1 s", **given})
    assert next(due(SimpleNamespace(duration_s=10.0, actions=[read])))[2]["do"] == verb.name  # type: ignore[arg-type]
    for key in {"nodes", "links", "groups", "command", "loss"} - {*verb.targets, *verb.arguments}:
        with pytest.raises(ValidationError, match=f"`{key}` with '{verb.name}'"):
            Action.model_validate({"at": "1 s", **given, key: IN_A_FILE[key]})
    if len(given) > 1:
        with pytest.raises(ValidationError, match=f"'{verb.name}' without"):
            Action.model_validate({"at": "1 s", "do": verb.name})
    if verb.lasts:
        Action.model_validate({"at": "1 s", "for": "1 s", **given})
    else:
        with pytest.raises(ValidationError, match="`until` or `for`"):
            Action.model_validate({"at": "1 s", "for": "1 s", **given})


def test_the_keys_of_an_action_are_fields_of_the_schema() -> None:
    assert set(KEYS) | {"do", "at_s", "after_ready_s", "every_s", "until_s", "for_s"} == set(Action.model_fields)
    assert {value.name: value.key for value in VALUES} == {
        name: Action.model_fields[name].alias or name for name in VALUE_NAMES
    }
    assert set(VALUE_NAMES) == set(engine._VALUES)  # those that the packet engine takes


@EVERY
def test_replay_finds_links_as_the_run_had_them(verb: Verb) -> None:
    bench = Bench()
    told = []
    for t_s, given in enumerate([*undone_first(verb), action(verb)]):
        bench.perform(given)
        told.append({"t_s": float(t_s), "kind": "action", "data": json.dumps(given)})
    assert Altered(network(), pl.DataFrame(told)).at(9.0) == bench.faults.overrides()


@EVERY
def test_replay_finds_programs_as_the_run_had_them(verb: Verb) -> None:
    scenario = Scenario.model_validate({"topology": "x", "program": [{"name": "p", "nodes": ["a"], "command": ["p"]}]})
    row = {"t_s": 1.0, "node": "", "program": "skyloom", "kind": "action", "data": json.dumps(action(verb))}
    jobs = PastJobs(scenario, network(), pl.DataFrame([row]))
    jobs.at(2.0)
    assert [job.alive for job in jobs.all] == [verb.name != "crash"]


@EVERY
def test_drawings_show_it(verb: Verb) -> None:
    given = action(verb)
    if verb.undoes:
        assert fault_spans.faults([(1.0, action(VERBS[verb.undoes])), (2.0, given)], 9.0)[0].end_s == 2.0
        return
    (span,) = fault_spans.faults([(1.0, given)], 9.0)
    assert (span.start_s, span.end_s) == (1.0, 9.0 if verb.lasts else 1.0)
    assert span.label.startswith(verb.name)


@EVERY
def test_captures_note_it_at_the_ends_that_it_concerns(verb: Verb) -> None:
    assert packet_comments.fault(action(verb), 2.0).startswith(f"fault: {verb.name}")
    found = packet_comments.concerned(network(), action(verb), [0, 1])
    assert (1 in found) == (verb.both_ways or verb.targets[:1] != ("links",))
    assert 0 in found


@EVERY
def test_the_screen_offers_it_and_the_run_accepts_what_it_asks_for(verb: Verb) -> None:
    offered = [choice for kind, name in (("node", "a"), ("link", "a:x")) for choice in screen.choices(kind, name)]
    mine = [choice for choice in offered if choice.action["do"] == verb.name]
    assert bool(mine) == (verb.name != "exec")  # a command is typed, not chosen
    for choice in mine:
        bench = Bench()
        bench.perform(choice.action)
        assert bench.events == [("action", choice.action)]


@EVERY
def test_the_reference_tells_what_it_does(verb: Verb) -> None:
    assert f"{verb.name}: {verb.reference}" in (Action.model_fields["do"].description or "")


@pytest.mark.parametrize("do", ["destroy", None, 3, ["crash"]])
def test_a_verb_that_does_not_exist_is_refused_and_leaves_no_action(do: object) -> None:
    bench = Bench()
    with pytest.raises(UsageError, match=r"no such action .*; there are crash, .*set"):
        bench.perform({"do": do})
    assert not bench.events


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"loss": 1.5}, "at most 1"),
        ({"delay_s": -1}, "0 or more"),
        ({"rate_bps": "fast"}, "0 or more"),
        ({"up": 1}, "true"),
    ],
)
def test_a_value_that_no_link_can_have_is_refused(given: dict[str, Any], said: str) -> None:
    bench = Bench()
    with pytest.raises(UsageError, match=said):
        bench.perform({"do": "set", "links": ["a:x"], **given})
    assert not bench.done


def test_values_are_worded_with_their_units() -> None:
    given = {"rate_bps": 1e6, "delay_s": 0.2, "loss": 0.01, "up": False}
    assert [value.worded(given[value.name]) for value in VALUES] == [
        "rate 1 Mbit/s",
        "delay 200 ms",
        "loss 1 %",
        "down",
    ]
    assert [value.worded(None) for value in VALUES][:1] == ["rate as scheduled"]


def test_an_action_that_fails_is_kept_for_the_verdict() -> None:
    bench = Bench()

    def full(node: str, index: int, command: list[str], expect: str) -> None:
        raise OSError(28, "No space left on device")

    bench.runner._execute = full
    planned = Action.model_validate({"at": "0 s", "do": "exec", "nodes": "a", "command": ["true"], "expect": "exit 0"})
    scenario: Any = SimpleNamespace(actions=[planned], duration_s=1.0)
    asyncio.run(bench.runner.follow(scenario, MonotonicClock(0)))
    assert [(of["expect"], why) for of, why in bench.runner.failed] == [
        ("exit 0", "[Errno 28] No space left on device")
    ]
    assert bench.events[-1][0] == "action-failed"


@pytest.mark.parametrize(
    "given",
    [{}, {"do": "crush", "expect": "exit 0"}, {"do": ["set"]}, {"do": "partition"}, {"do": "partition", "groups": [5]}],
)
def test_what_somebody_asks_in_vain_is_an_event_and_no_part_of_the_verdict(given: dict[str, Any]) -> None:
    bench = Bench()
    asyncio.run(bench.runner.perform_or_tell(given))
    kind, data = bench.events[-1]
    assert (kind, data["do"]) == ("action-failed", str(given.get("do")))
    assert not bench.runner.failed
    with pytest.raises(UsageError):
        bench.perform(given)

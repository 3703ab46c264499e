"""The verbs: all actions on a running network, in one table.

A verb is named in a scenario (`do = "hold"`), chosen on the screen, requested by a program (`context.act`), performed
by the runtime, undone, replayed from the events, shaded in drawings and noted in captures. All these rooms read this
table. It is in `model` because scenario files and the screen need the verbs, but may not import the runtime that
performs them.

Invariant: every name of `VerbName` has its row, and every room handles every row. A room with code for single verbs
matches on the name and ends in `assert_never`, so that the type checker refuses a verb without a handler; a test
performs each verb in each room.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isnan
from typing import Any, Literal

from emulator.model.errors import Unfit, UsageError
from emulator.model.units import show

VerbName = Literal[
    "crash", "restart", "link-down", "link-up", "hold", "release", "partition", "heal", "set", "exec"
]  # fmt: skip
Target = Literal["nodes", "links", "groups", "program"]
Kind = Literal["node", "link"]  # of what is chosen on the screen


@dataclass(frozen=True, slots=True)
class Value:
    """A value of a link end that `set` overrides, in SI units."""

    name: str
    """Its key in events and orders, with its unit."""
    key: str
    """Its key in a scenario file, and its word for people."""
    kind: str | None
    """Its kind in `model.units`; None: true or false."""
    most: float = inf
    """The largest value allowed."""

    def checked(self, value: object) -> float | bool | None:
        """The value for the packet engine; None returns it to the schedule. ValueError for a bad value."""
        if value is None:
            return None
        if self.kind is None:
            if not isinstance(value, bool):
                raise Unfit(f"{self.name} is {value!r}", "true or false")
            return value
        if not isinstance(value, int | float) or isnan(value) or not 0 <= value <= self.most:
            bound = f", at most {self.most:g}" if self.most < inf else ""
            raise Unfit(f"{self.name} is {value!r}", f"0 or more{bound}")
        return float(value)

    def worded(self, value: Any) -> str:
        """Text for people: "delay 200 ms", "down", "loss as scheduled"."""
        if value is None:
            return f"{self.key} as scheduled"
        if self.kind is None:
            return "up" if value else "down"
        return f"{self.key} {show(value, self.kind)}"


VALUES = (
    Value("rate_bps", "rate", "rate"),
    Value("delay_s", "delay", "duration"),
    Value("loss", "loss", "share", most=1.0),
    Value("up", "up", None),
)
VALUE_NAMES = tuple(value.name for value in VALUES)


@dataclass(frozen=True, slots=True)
class Choice:
    """A line of the screen's list of faults."""

    words: str
    """Its text: "set delay 200 ms"."""
    meaning: str
    values: Mapping[str, float | None] | None = None
    """The values that `set` sets on the link end."""


@dataclass(frozen=True, slots=True)
class Verb:
    """One row. `name` is its name everywhere: in scenario files, events, captions and on the screen."""

    name: VerbName
    reference: str
    """What it does, for the scenario reference."""
    acts_on: Literal["links", "programs"]
    targets: tuple[Target, ...]
    """The keys of its targets, at least one of which is required. None: it concerns the whole network."""
    arguments: tuple[str, ...] = ()
    """Further keys, at least one of which is required: the command of `exec`, the values of `set`."""
    options: tuple[str, ...] = ()
    """Optional keys: the expected result of `exec`."""
    undone_by: VerbName | None = None
    """The verb that undoes it, performed by `until` and `for`; None: it has no duration."""
    programs_run: bool | None = None
    """Whether the programs run afterwards; None: it does not change that."""
    both_ways: bool = False
    """Whether a link end means both directions of its link."""
    colour: str = ""
    """The shade of its duration in drawings over time; pale, so that lines of every colour are visible."""
    node_choices: tuple[Choice, ...] = ()
    """The choices of the screen for a selected node, and for a link end below."""
    link_choices: tuple[Choice, ...] = ()

    @property
    def lasts(self) -> bool:
        """Whether it lasts until it is undone."""
        return self.undone_by is not None

    @property
    def undoes(self) -> VerbName | None:
        """The other verb that it undoes."""
        return next((verb.name for verb in _ROWS if verb.undone_by == self.name != verb.name), None)

    def choices(self, kind: Kind) -> tuple[Choice, ...]:
        """The choices of the screen for a node or a link end."""
        return self.node_choices if kind == "node" else self.link_choices

    def on(self, kind: Kind, name: str) -> dict[str, Any]:
        """The action with this verb on one node or link end."""
        if "groups" in self.targets:
            return {"do": self.name, "groups": [[name]]}
        target: Target = "nodes" if kind == "node" else "links"
        return {"do": self.name, **({target: [name]} if target in self.targets else {})}


_ROWS = (
    Verb(
        "crash", "kill processes of `nodes` or of `program`", "programs", ("nodes", "program"),
        undone_by="restart", programs_run=False, colour="#d55e00",
        node_choices=(Choice("crash", "kill its programs, as a power failure would"),),
    ),
    Verb(
        "restart", "start processes of `nodes` or of `program` again", "programs", ("nodes", "program"),
        programs_run=True, node_choices=(Choice("restart", "start its programs again"),),
    ),
    Verb(
        "link-down", "switch `links` off, both ways", "links", ("links",), undone_by="link-up", both_ways=True,
        colour="#8c564b", link_choices=(Choice("link-down", "switch the link off, both ways"),),
    ),
    Verb(
        "link-up", "switch `links` on again", "links", ("links",), both_ways=True,
        link_choices=(Choice("link-up", "switch it on again"),),
    ),
    Verb(
        "hold", "let packets wait at `links`, or at all links of `nodes`", "links", ("nodes", "links"),
        undone_by="release", colour="#e69f00",
        node_choices=(Choice("hold", "packets wait at all its links"),),
        link_choices=(Choice("hold", "packets wait at this end"),),
    ),
    Verb(
        "release", "let the packets that wait go on", "links", ("nodes", "links"),
        node_choices=(Choice("release", "they go on"),), link_choices=(Choice("release", "they go on"),),
    ),
    Verb(
        "partition", "let no packet pass between `groups`", "links", ("groups",), undone_by="heal", colour="#cc79a7",
        node_choices=(Choice("partition", "nothing passes between it and all others"),),
    ),
    Verb("heal", "end every partition", "links", (), node_choices=(Choice("heal", "end every partition"),)),
    Verb(
        "set", "give `links` another `rate`, `delay`, `loss` or `up` than their schedule's", "links", ("links",),
        arguments=VALUE_NAMES, undone_by="set", colour="#56b4e9",
        link_choices=(
            Choice("set loss 1 %", "of the packets sent here", {"loss": 0.01}),
            Choice("set loss 10 %", "of the packets sent here", {"loss": 0.1}),
            Choice("set delay 200 ms", "one way, instead of the schedule's", {"delay_s": 0.2}),
            Choice("set rate 1 Mbit/s", "instead of the schedule's", {"rate_bps": 1e6}),
            Choice(
                "unset", "loss, delay and rate as the schedule says again",
                {"loss": None, "delay_s": None, "rate_bps": None},
            ),
        ),
    ),
    Verb("exec", "run `command` on `nodes`", "programs", ("nodes",), arguments=("command",), options=("expect",)),
)  # fmt: skip
VERBS: Mapping[str, Verb] = {verb.name: verb for verb in _ROWS}
KEYS: tuple[str, ...] = (
    "nodes",
    "links",
    "groups",
    "program",
    "command",
    "expect",
    *VALUE_NAMES,
)  # of an action, beside `do`


def find(do: object) -> Verb:
    """The verb of that name. UsageError if there is none."""
    verb = VERBS.get(do) if isinstance(do, str) else None
    if verb is None:
        raise UsageError(f"no such action {do!r}; there are {', '.join(sorted(VERBS))}")
    return verb


def undoing(action: Mapping[str, Any]) -> dict[str, Any]:
    """The action that undoes one of a verb that lasts: the same targets, with the schedule's values."""
    verb = find(action["do"])
    assert verb.undone_by is not None, f"{verb.name} does not last"
    back = {key: None if key in VALUE_NAMES else value for key, value in action.items()}
    return {**back, "do": verb.undone_by}


def listed(names: tuple[str, ...], last: str) -> str:
    """Names as a sentence has them: "a, b or c"."""
    return f" {last} ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


LASTING = tuple(verb.name for verb in _ROWS if verb.lasts)
REFERENCE = ". ".join(f"{verb.name}: {verb.reference}" for verb in _ROWS) + "."

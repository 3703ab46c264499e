"""Models: the tables of a scenario file as typed values. Code says `scenario.duration_s`, TOML `duration = "60 s"`.

Invariant: a rule that concerns one table is checked here; rules between tables are in `checks.py`. A ValueError raised
here reads "what was found; expected what is allowed", and the loader splits it there.
"""

from __future__ import annotations

from math import isfinite
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, PrivateAttr, model_validator

from emulator.model import verbs
from emulator.model.errors import Problem, Unfit
from emulator.model.tables import Table, plain
from emulator.model.units import Duration, Rate, show
from emulator.model.verbs import VerbName, listed
from emulator.scenario.schema.capture import Capture
from emulator.scenario.schema.field_types import Command, Glob, Globs, Name, PositiveDuration, Probability, Time
from emulator.scenario.source import Source
from emulator.scenario.toml.spans import Path


def _toml_values(value: Any) -> Any:
    """`value` where it is text, a number, a boolean, or a list or table of those."""
    if isinstance(value, dict):
        return {key: _toml_values(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_toml_values(item) for item in value]
    if isinstance(value, str | int) or (isinstance(value, float) and isfinite(value)):
        return value
    raise Unfit(f"{value}", "text, numbers, true or false, and lists and tables of them")


class Program(Table):
    """A program that runs on nodes: a `Node` subclass of Python (`run`) or any command (`command`)."""

    name: Name
    """Its name in events, logs and `--set` paths; unique in the scenario."""
    nodes: Globs
    """Names and globs of the live nodes it runs on, one process each."""
    run: str | None = Field(None, pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    """A subclass of `emulator.sdk.node.Node` as "module:Class"; modules next to the scenario file are found too."""
    command: Command | None = None
    """A command with its arguments, instead of `run`."""
    config: dict[str, Any] = Field(default_factory=dict)
    """Configuration of a `run` program: the fields of its `Config` dataclass."""
    environment: dict[str, str] = Field(default_factory=dict)
    """Environment variables of a `command`, beside the inherited ones."""
    start_s: Time = 0.0
    """Scenario time at which it starts."""
    stop_s: Time | None = None
    """Scenario time at which it is asked to end; without it, the end of the run."""
    expect: str = Field("any", pattern=r"^(running|any|exit \d{1,3})$")
    """How it may end: "running" (up until it is stopped), "exit N" or "any". By default "any" for a `command`, and for
    `run` "running", or "exit 0" where the scenario `ends` with its programs."""

    barrier: Name | None = None
    """Name of the barrier at which processes of a `run` program meet between rounds; by default one a program."""

    _config: BaseModel | None = PrivateAttr(None)

    @property
    def config_values(self) -> dict[str, Any]:
        """Keyword arguments for the program's `Config`: SI numbers, text, booleans, lists, dicts; fit for msgpack."""
        values: dict[str, Any] = plain(self._config) if self._config is not None else {}
        return values

    @model_validator(mode="before")
    @classmethod
    def _default_of_expect(cls, data: Any) -> Any:
        return {"expect": "running", **data} if isinstance(data, dict) and "run" in data else data

    @model_validator(mode="after")
    def _one_kind(self) -> Program:
        if (self.run is None) == (self.command is None):
            found = "neither `run` nor `command`" if self.run is None else "both `run` and `command`"
            raise Unfit(found, "exactly one of them")
        if self.run is None and self.config:
            raise Unfit("`config` with `command`", "`config` with `run` only")
        if self.run is None and self.barrier is not None:
            raise Unfit("`barrier` with `command`", "`barrier` with `run` only")
        if self.command is None and self.environment:
            raise Unfit("`environment` with `run`", "`environment` with `command` only")
        if self.stop_s is not None and self.stop_s <= self.start_s:
            raise Unfit(
                f"`stop` at {show(self.stop_s, 'duration')}",
                f"a time after its start at {show(self.start_s, 'duration')}",
            )
        return self


class Action(Table):
    """Something done to the network during the run, once (`at`) or again and again (`every`)."""

    at_s: Time | None = None
    """Scenario time of the action."""
    every_s: PositiveDuration | None = None
    """Period of the action; the first time is one period after the start."""
    do: VerbName = Field(description=verbs.REFERENCE)
    nodes: Globs | None = None
    """Names and globs of nodes."""
    links: Globs | None = None
    """Names and globs of link ends, "node:port"."""
    groups: tuple[Globs, ...] | None = Field(None, min_length=2)
    """Groups of nodes, each a list of names and globs, that a partition keeps apart."""
    program: str | None = None
    """Name of a program; with `nodes`, only its processes there."""
    rate_bps: Rate | None = None
    """Rate that `set` gives to the links."""
    delay_s: Time | None = None
    """Propagation delay that `set` gives to the links."""
    loss: Probability | None = None
    """Chance of loss per packet that `set` gives to the links."""
    up: bool | None = None
    """Whether `set` lets the links pass packets."""
    command: Command | None = None
    """Command with its arguments that `exec` runs."""
    until_s: Time | None = Field(
        None, description=f"Scenario time at which a {listed(verbs.LASTING, 'or')} made by `at` is taken back."
    )
    for_s: PositiveDuration | None = Field(
        None, description=f"Time after which a {listed(verbs.LASTING, 'or')} is taken back."
    )

    @property
    def undo_after_s(self) -> float | None:
        """Time from the action to its undoing, or None where it stays."""
        if self.until_s is not None and self.at_s is not None:
            return self.until_s - self.at_s
        return self.for_s

    @model_validator(mode="after")
    def _verb_and_keys(self) -> Action:
        if (self.at_s is None) == (self.every_s is None):
            found = "neither `at` nor `every`" if self.at_s is None else "both `at` and `every`"
            raise Unfit(found, "exactly one of them")
        verb = verbs.VERBS[self.do]
        targets, arguments = verb.targets, verb.arguments
        if targets and not any(getattr(self, target) is not None for target in targets):
            raise Unfit(f"{self.do!r} without a target", f"{' or '.join(f'`{key}`' for key in targets)}")
        allowed = {*targets, *arguments}
        for name in verbs.KEYS:
            if getattr(self, name) is not None and name not in allowed:
                keys = ", ".join(f"`{_key(key)}`" for key in sorted(allowed)) or "no further keys"
                raise Unfit(f"`{_key(name)}` with {self.do!r}", f"{keys}")
        if arguments and all(getattr(self, name) is None for name in arguments):
            keys = listed(tuple(f"`{_key(name)}`" for name in arguments), "or")
            raise Unfit(f"{self.do!r} without {keys}", f"{keys}")
        return self._undoing()

    def _undoing(self) -> Action:
        if self.until_s is None and self.for_s is None:
            return self
        if not verbs.VERBS[self.do].lasts:
            raise Unfit(f"`until` or `for` with {self.do!r}", f"them with {', '.join(verbs.LASTING)} only")
        if self.until_s is not None and self.for_s is not None:
            raise Unfit("both `until` and `for`", "at most one of them")
        if self.until_s is not None and self.at_s is None:
            raise Unfit("`until` with `every`", "`for`")
        if self.until_s is not None and self.at_s is not None and self.until_s <= self.at_s:
            raise Unfit(f"`until` at {show(self.until_s, 'duration')}", "a time after `at`")
        if self.for_s is not None and self.every_s is not None and self.for_s >= self.every_s:
            raise Unfit(f"`for` of {show(self.for_s, 'duration')}", "less than `every`")
        return self


class Expect(Table):
    """What the verdict depends on: a figure of verdict.json and its bound."""

    figure: str = Field(min_length=1)
    """Dotted path of a figure in verdict.json, such as "summary.handovers" or "probe_error_ms.p99"."""
    at_least: int | float | None = None
    """Lower bound, in the unit of the figure."""
    at_most: int | float | None = None
    """Upper bound, in the unit of the figure."""
    equals: bool | int | float | str | None = None
    """Exact value."""

    @model_validator(mode="after")
    def _one_bound(self) -> Expect:
        given = [name for name in ("at_least", "at_most", "equals") if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(f"`{name}`" for name in given) or "no bound"
            raise Unfit(found, "exactly one of `at_least`, `at_most`, `equals`")
        return self


class Fidelity(Table):
    """How late the emulation may be before its results are not to be trusted."""

    lateness_p99_s: Duration = 0.002
    """Lateness of packets, 99th percentile, past which the run ends with exit code 75."""
    realtime: bool = False
    """Whether the packet engine asks for a real-time class (SCHED_FIFO), so that it runs before all other processes of
    the machine; needs root or CAP_SYS_NICE. A thread of it that takes more than 80 % of a core leaves the class."""


class Engine(Table):
    """How the packet engine runs."""

    threads: Annotated[int, Field(ge=1, le=64)] = 1
    """Threads that share the nodes out, for networks with more packets than one core carries. Each wants a core that
    node programs leave free. Fixed links of less than 1 ms never lie between two threads."""


class Rounds(Table):
    """Limits of a run whose programs act in rounds: where it is stopped, and how exact its rounds must have been."""

    max_rounds: Annotated[int, Field(ge=1)] | None = None
    """Rounds after which the run is stopped and its verdict fails."""
    max_messages: Annotated[int, Field(ge=1)] | None = None
    """Messages sent over links after which the run is stopped and its verdict fails."""
    fidelity: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Smallest share of messages in their planned round; below it the run ends with exit code 75."""


class Scenario(Table):
    """A scenario as resolved: what to build, what runs on it, what is done to it and what must hold at the end."""

    name: str = Field("", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)
    """Name of the scenario and of its run folders; by default the name of the file or of its folder."""
    description: str = ""
    """One line on what the scenario shows."""
    duration_s: PositiveDuration = 60.0
    """Scenario time from the start of play to its end, in real time."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    """Seed of everything random."""
    ends: Literal["duration", "programs"] = "duration"
    """When the run ends: after its duration, or before that once every program has ended by itself."""
    recipe: str | None = Field(None, min_length=1)
    """Module that composes this scenario from parameters, which are keys of this file: dotted, or a file."""
    topology: str = Field(min_length=1)
    """Topology module: dotted ("topologies.leo") or a file ("my_topology.py"); a Mininet file may be "file.py:NAME".
    A recipe composes it."""
    materialise: Literal["ends", "all"] | tuple[Glob, ...] = "ends"
    """Which nodes get a namespace beside the end points: "ends" none, "all", or a list of names and globs."""
    routing: Literal["least-delay", "static", "neighbours", "none"] = "least-delay"
    """Routes: recomputed every routing step, those of the first step for ever, to direct neighbours only, or none."""
    step_s: PositiveDuration = 1.0
    """Schedule step: delays are interpolated within it, links and routes change at its start."""
    routing_step_s: PositiveDuration | None = None
    """Time between routes, a multiple of `step`; by default every step, or 15 s where more than 200 nodes are live."""
    skip_bad: bool = False
    """Leave out malformed element sets instead of refusing their file."""
    analysis: str | None = Field(None, pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$")
    """Module that adds the scenario's own figures to the verdict, such as "scenarios.leo.analysis"."""
    directory: str = "."
    """What relative paths in this file are relative to; by default the folder of the file."""
    programs: tuple[Program, ...] = Field((), alias="program")
    """What runs on the nodes."""
    actions: tuple[Action, ...] = Field((), alias="action")
    """What is done to the network during the run."""
    expects: tuple[Expect, ...] = Field((), alias="expect")
    """What the verdict depends on."""
    capture: Capture = Capture()
    """What is captured."""
    fidelity: Fidelity = Fidelity()
    """When the run counts as too late to trust."""
    engine: Engine = Engine()
    """How the packet engine runs."""
    rounds: Rounds = Rounds()
    """Limits of a run in rounds."""
    parameters: Annotated[dict[str, Any], AfterValidator(_toml_values)] = Field(default_factory=dict)
    """What the recipe was given, on record in the scenario of a run folder; changes nothing."""
    prediction: dict[str, bool | int | float | str] = Field(default_factory=dict)
    """Figures of the summary that are known before the run, by name."""

    _tables: BaseModel | None = PrivateAttr(None)
    _source: Source = PrivateAttr(default_factory=Source)

    @property
    def tables(self) -> Any:
        """The topology's own tables: an instance of its `Config`, or None for a Mininet topology."""
        return self._tables

    @model_validator(mode="before")
    @classmethod
    def _programs_come_home(cls, data: Any) -> Any:
        """Where the run ends with its programs, a Python program is expected to end well, not to be running."""
        programs = data.get("program") if isinstance(data, dict) else None
        if not isinstance(programs, list) or data.get("ends") != "programs":
            return data
        return data | {"program": [_ends_by_itself(each) for each in programs]}

    def problem(self, path: Path, found: str, expected: str) -> Problem:
        """A Problem at a key of this scenario's file, for rooms that find one later: ("program", 0, "nodes")."""
        from emulator.scenario.schema.problems import KeyTexts

        return self._source.problem(path, KeyTexts(self.model_dump(by_alias=True)), found, expected)


def _ends_by_itself(program: Any) -> Any:
    return {"expect": "exit 0", **program} if isinstance(program, dict) and "run" in program else program


def _key(name: str) -> str:
    return Action.model_fields[name].alias or name

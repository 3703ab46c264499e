"""Models: the tables of a scenario file as typed values. Code says `scenario.duration_s`, TOML `duration = "60 s"`.

Invariant: a rule that concerns one table is checked here; rules between tables are in `checks.py`. A ValueError raised
here reads "what was found; expected what is allowed", and the loader splits it there.
"""

from __future__ import annotations

from math import isfinite
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, PrivateAttr, model_validator

from emulator.model.errors import Problem, Unfit
from emulator.model.tables import Table
from emulator.model.units import Duration
from emulator.scenario.schema.action import Action
from emulator.scenario.schema.capture import Capture
from emulator.scenario.schema.cluster import Cluster
from emulator.scenario.schema.field_types import Glob, PositiveDuration
from emulator.scenario.schema.host import File, Host
from emulator.scenario.schema.program import Program
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
    trunk_lost: Annotated[float, Field(ge=0, le=1)] = 1e-5
    """Share of the packets between hosts that trunks may lose, past which a run on several ends with exit code 75."""
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
    hosts: tuple[Host, ...] = Field((), alias="host")
    """How nodes look to what runs on them."""
    files: tuple[File, ...] = Field((), alias="file")
    """Files that nodes have from the start."""
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
    cluster: Cluster = Cluster()
    """How nodes are divided among hosts where a run has several."""
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
    def _default_expect(cls, data: Any) -> Any:
        """Where the run ends with its programs, a Python program is expected to end well, not to be running."""
        programs = data.get("program") if isinstance(data, dict) else None
        if not isinstance(programs, list) or data.get("ends") != "programs":
            return data
        return data | {"program": [_ends_by_itself(each) for each in programs]}

    @property
    def notes(self) -> tuple[str, ...]:
        """What its file says that has no meaning here, line by line; a file of another tool may say such things."""
        return self._source.notes

    def problem(self, path: Path, found: str, expected: str) -> Problem:
        """A Problem at a key of this scenario's file, for rooms that find one later: ("program", 0, "nodes")."""
        from emulator.scenario.schema.problems import KeyTexts

        return self._source.problem(path, KeyTexts(self.model_dump(by_alias=True)), found, expected)


def _ends_by_itself(program: Any) -> Any:
    return {"expect": "exit 0", **program} if isinstance(program, dict) and "run" in program else program

"""The table [[program]]: what runs on nodes, from when to when, and how it may end.

Invariant: a program is either a `Node` subclass of Python (`run`) or any command (`command`, or without one that of its
nodes' image), never both.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, Field, PrivateAttr, model_validator

from emulator.model.errors import Unfit
from emulator.model.tables import Table, plain
from emulator.model.units import show
from emulator.scenario.schema.field_types import Command, Globs, Name, Names, PositiveDuration, Template, Time


class Ready(Table):
    """How the run learns that a program is ready to serve: the first success of one probe, tried ten times a second."""

    tcp: Annotated[int, Field(ge=1, le=65535)] | Annotated[Template, Field(pattern=r"^\S+:\d{1,5}$")] | None = None
    """A port that accepts a connection: a number, at the node's address or on its loopback, or "address:port"."""
    http: Template | None = Field(None, pattern=r"^https?://\S+$")
    """A URL that answers with a status of 200 to 399; certificates are not verified. Placeholders as in `command`."""
    log: str | None = Field(None, min_length=1)
    """A regular expression found in a line that the program prints."""
    command: Command | None = None
    """A command on the node that exits with status 0."""

    @model_validator(mode="after")
    def _one_probe(self) -> Ready:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(f"`{name}`" for name in given) or "no probe"
            raise Unfit(found, "exactly one of `tcp`, `http`, `log`, `command`")
        if isinstance(self.tcp, str) and int(self.tcp.rpartition(":")[2]) > 65535:
            raise Unfit(f"`tcp` {self.tcp!r}", "a port of at most 65535")
        if self.log is not None:
            try:
                re.compile(self.log)
            except re.error as error:
                raise Unfit(f"`log` {self.log!r} ({error})", "a regular expression") from None
        return self


class Program(Table):
    """A program that runs on nodes: a `Node` subclass of Python (`run`) or any command (`command`)."""

    name: Name
    """Its name in events, logs and `--set` paths; unique in the scenario."""
    nodes: Globs
    """Names and globs of the live nodes it runs on, one process each."""
    run: str | None = Field(None, pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    """A subclass of `emulator.sdk.node.Node` as "module:Class"; modules next to the scenario file are found too."""
    command: Command | None = None
    """A command with its arguments, instead of `run`: a list, or one text that is split as a shell does. Placeholders
    such as `{node}` are filled in. It runs in the folder nodes/NAME of the run folder; no shell is involved. On nodes
    with an image it follows the image's entry point, runs in the image's working folder, and may be left out."""
    entry_point: tuple[Template, ...] | None = None
    """Words before the `command` on nodes with an image, instead of the image's entry point; may be empty."""
    config: dict[str, Any] = Field(default_factory=dict)
    """Configuration of a `run` program: the fields of its `Config` dataclass."""
    environment: dict[str, Template] = Field(default_factory=dict)
    """Environment variables of a `command`, beside the inherited ones and SKYLOOM_NODE, SKYLOOM_ADDRESS,
    SKYLOOM_ADDRESS6, SKYLOOM_RUN and SKYLOOM_SEED. Placeholders are filled in."""
    join: str = ","
    """Text between the items of `{nodes:GLOB}` and `{addresses:GLOB}`."""
    start_s: Time = 0.0
    """Scenario time at which it starts."""
    stop_s: Time | None = None
    """Scenario time at which it is asked to end; without it, the end of the run."""
    ready: Ready | None = None
    """Probe that tells when it is ready to serve; without it, a program counts as ready once it has started."""
    ready_within_s: PositiveDuration = 30.0
    """Time from its start by which the probe must have succeeded; past it the verdict fails."""
    after: Names = ()
    """Names of programs that must be ready on all their nodes before this one starts, at `start` at the earliest."""
    restart: Annotated[int, Field(ge=0, le=1000)] = 0
    """How often a process that ended by failure (a signal, or a status other than 0) is started anew."""
    expect: str = Field("well", pattern=r"^(well|running|any|exit \d{1,3})$")
    """How it may end: "well" (by itself with status 0, or up until it is stopped), "running" (up until it is stopped),
    "exit N" or "any". A program that never becomes ready fails each but "any". By default "well" for a `command`, and
    for `run` "running", or "exit 0" where the scenario `ends` with its programs."""

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
        if self.run is not None and self.command is not None:
            raise Unfit("both `run` and `command`", "one of them")
        if self.run is not None and self.entry_point is not None:
            raise Unfit("`entry_point` with `run`", "`entry_point` with `command` only")
        if self.run is None and self.config:
            raise Unfit("`config` with `command`", "`config` with `run` only")
        if self.run is None and self.barrier is not None:
            raise Unfit("`barrier` with `command`", "`barrier` with `run` only")
        if self.run is not None and self.environment:
            raise Unfit("`environment` with `run`", "`environment` with `command` only")
        if self.name in self.after:
            raise Unfit("its own name in `after`", "names of other programs")
        if self.stop_s is not None and self.stop_s <= self.start_s:
            raise Unfit(
                f"`stop` at {show(self.stop_s, 'duration')}",
                f"a time after its start at {show(self.start_s, 'duration')}",
            )
        return self

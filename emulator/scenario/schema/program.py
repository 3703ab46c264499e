"""The table [[program]]: what runs on nodes, from when to when, and how it may end.

Invariant: a program is either a `Node` subclass of Python (`run`) or any command (`command`), never both.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field, PrivateAttr, model_validator

from emulator.model.errors import Unfit
from emulator.model.tables import Table, plain
from emulator.model.units import show
from emulator.scenario.schema.field_types import Command, Globs, Name, Template, Time


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
    such as `{node}` are filled in. It runs in the folder nodes/NAME of the run folder; no shell is involved."""
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

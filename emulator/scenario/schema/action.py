"""The table [[action]]: what is done to the network while it plays, when, and when it is taken back.

Invariant: an action has the targets and arguments that the table of verbs (`model.verbs`) gives its verb, no others.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import Field, WithJsonSchema, model_validator

from emulator.model import verbs
from emulator.model.errors import Unfit
from emulator.model.tables import Table
from emulator.model.units import Rate, show
from emulator.model.verbs import VerbName, listed
from emulator.scenario.schema.field_types import Command, Globs, PositiveDuration, Probability, Time

_AT_OR_READY = WithJsonSchema(
    {"type": "string", "examples": ["12 ms", "ready + 5 s"], "pattern": r"^\s*(ready|[0-9.])"}
)


class Action(Table):
    """Something done to the network during the run, once (`at`) or again and again (`every`)."""

    at_s: Annotated[Time, _AT_OR_READY] | None = None
    """Scenario time of the action."""
    after_ready_s: Time | None = None
    """Time of the action from the moment at which all programs with a probe (`ready`) are ready; `at = "ready + 5 s"`
    says the same."""
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
    """Command with its arguments that `exec` runs: a list, or one text that is split as a shell does. Placeholders such
    as `{node}` are filled in."""
    expect: str | None = Field(None, pattern=r"^exit \d{1,3}$")
    """Status "exit N" with which the command of `exec` must end for the verdict to pass; without it another status than
    0 is a warning."""
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

    @model_validator(mode="before")
    @classmethod
    def _at_ready(cls, data: Any) -> Any:
        """`at = "ready + 5 s"` as `after_ready = "5 s"`."""
        at = data.get("at") if isinstance(data, dict) else None
        found = re.fullmatch(r"ready(?:\s*\+\s*(.+))?", at) if isinstance(at, str) else None
        if found is None or "after_ready" in data:
            return data
        rest = {key: value for key, value in data.items() if key != "at"}
        return {**rest, "after_ready": found[1] or "0 s"}

    @model_validator(mode="after")
    def _verb_and_keys(self) -> Action:
        given = [f"`{_key(name)}`" for name in _WHEN if getattr(self, name) is not None]
        if len(given) != 1:
            raise Unfit(
                " and ".join(given) or "neither `at` nor `every`", "exactly one of `at`, `after_ready`, `every`"
            )
        verb = verbs.VERBS[self.do]
        targets, arguments = verb.targets, verb.arguments
        if targets and not any(getattr(self, target) is not None for target in targets):
            raise Unfit(f"{self.do!r} without a target", f"{' or '.join(f'`{key}`' for key in targets)}")
        allowed = {*targets, *arguments, *verb.options}
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
            raise Unfit("`until` without `at`", "`for`")
        if self.until_s is not None and self.at_s is not None and self.until_s <= self.at_s:
            raise Unfit(f"`until` at {show(self.until_s, 'duration')}", "a time after `at`")
        if self.for_s is not None and self.every_s is not None and self.for_s >= self.every_s:
            raise Unfit(f"`for` of {show(self.for_s, 'duration')}", "less than `every`")
        return self


_WHEN = ("at_s", "after_ready_s", "every_s")


def _key(name: str) -> str:
    return Action.model_fields[name].alias or name

"""Checks: rules between the tables of a scenario, and names against the network that was built.

Invariant: `between` works on the raw data, where any part may be malformed, so that these problems are reported
together with those of the single tables. What it cannot read it leaves to the models.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any

from emulator.model.units import parse, show
from emulator.scenario.toml.spans import Path

Finding = tuple[Path, str, str]  # path, found, expected


def between(data: Mapping[str, Any]) -> Iterator[Finding]:
    """Everything wrong between tables: path of the key, what was found, what is expected."""
    yield from _duplicates(data)
    yield from _programs_of_nothing(data)
    yield from _programs_of_actions(data)
    yield from _order_of_programs(data)
    yield from _times(data)
    if data.get("ends") == "programs" and not data.get("program"):
        yield ("ends",), "'programs', and no program", "at least one [[program]] to end the run"
    step, routing_step = _seconds(data.get("step", "1 s")), _seconds(data.get("routing_step"))
    if step and routing_step and abs(routing_step / step - round(routing_step / step)) > 1e-9:
        expected = f"a multiple of `step` ({show(step, 'duration')})"
        yield ("routing_step",), repr(data["routing_step"]), expected


def _duplicates(data: Mapping[str, Any]) -> Iterator[Finding]:
    first: dict[str, int] = {}
    for index, program in _tables(data, "program"):
        name = program.get("name")
        if not isinstance(name, str):
            continue
        if name in first:
            expected = f"names that differ; program {first[name]} has it already"
            yield ("program", index, "name"), f"{name!r} a second time", expected
        first.setdefault(name, index)


def _programs_of_nothing(data: Mapping[str, Any]) -> Iterator[Finding]:
    if any("image" in host for _, host in _tables(data, "host")):
        return  # it may be the image's own program: see `placement`
    for index, program in _tables(data, "program"):
        if "run" not in program and "command" not in program:
            yield ("program", index), "neither `run` nor `command`", "exactly one of them, or nodes with an image"


def _programs_of_actions(data: Mapping[str, Any]) -> Iterator[Finding]:
    names = [program["name"] for _, program in _tables(data, "program") if isinstance(program.get("name"), str)]
    for index, action in _tables(data, "action"):
        program = action.get("program")
        if isinstance(program, str) and program not in names:
            yield ("action", index, "program"), repr(program), f"the name of a program{choices(program, names)}"


def _order_of_programs(data: Mapping[str, Any]) -> Iterator[Finding]:
    """Names in `after`, and circles of programs that wait for each other."""
    after: dict[str, list[str]] = {}
    for _, program in _tables(data, "program"):
        names = program.get("after")
        names = [names] if isinstance(names, str) else names
        if isinstance(program.get("name"), str) and isinstance(names, list):
            after[program["name"]] = [name for name in names if isinstance(name, str)]
    known = [program["name"] for _, program in _tables(data, "program") if isinstance(program.get("name"), str)]
    for index, program in _tables(data, "program"):
        name = program.get("name")
        for position, before in enumerate(after.get(name, []) if isinstance(name, str) else []):
            path: Path = ("program", index, "after", position)
            if before not in known:
                yield path, repr(before), f"the name of a program{choices(before, known)}"
            elif before != name and name in _all_before(before, after):
                yield path, f"{before!r}, which waits for {name!r}", "an order without a circle"


def _all_before(name: str, after: Mapping[str, list[str]]) -> set[str]:
    """All programs that must be ready before `name` starts, directly or not."""
    found: set[str] = set()
    pending = [name]
    while pending:
        for before in after.get(pending.pop(), []):
            if before not in found:
                found.add(before)
                pending.append(before)
    return found


def _times(data: Mapping[str, Any]) -> Iterator[Finding]:
    duration = _seconds(data.get("duration", "60 s"))
    if not duration:
        return
    expected = f"a time within the run of {show(duration, 'duration')}"
    for kind, keys in (("program", ("start",)), ("action", ("at", "every", "until"))):
        for index, table in _tables(data, kind):
            for key in keys:
                time = _seconds(table.get(key))
                if time is not None and time > duration:
                    yield (kind, index, key), repr(table[key]), expected


def choices(found: str, known: list[str]) -> str:
    """A tail for messages: the nearest known name, or the first few."""
    near = difflib.get_close_matches(found, known, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    if not known:
        return "; there is none"
    shown = ", ".join(repr(name) for name in known[:8])
    return f": {shown}{', …' if len(known) > 8 else ''}"


def _tables(data: Mapping[str, Any], key: str) -> list[tuple[int, Mapping[str, Any]]]:
    """Elements of an array of tables that are tables, with their index."""
    value = data.get(key)
    if not isinstance(value, list):
        return []
    return [(index, item) for index, item in enumerate(value) if isinstance(item, Mapping)]


def _seconds(value: object) -> float | None:
    """Seconds, or None where the model refuses the value anyway."""
    try:
        seconds = parse(value, "duration")
    except ValueError:
        return None
    return seconds if isfinite(seconds) else None

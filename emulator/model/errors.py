"""The error tree: one class per situation, each with the exit code that the command line ends with.

A message says what is wrong, where, what was allowed and what to do. Nothing else is raised on purpose.
"""

from __future__ import annotations

from dataclasses import dataclass

from emulator.model.printable import one_line

EXIT_PASS = 0
EXIT_FAIL = 1
EXIT_USAGE = 64
EXIT_DATA = 65
EXIT_PLATFORM = 69
EXIT_INTERNAL = 70
EXIT_LATE = 75
EXIT_INTERRUPTED = 130


class Stated(Exception):
    """What was found where something else was expected: two fields, which nobody has to read out of a message."""

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(found, expected)
        self.found = found
        self.expected = expected

    def __str__(self) -> str:
        return f"{self.found}; expected {self.expected}"


class Unfit(Stated, ValueError):
    """A value that does not fit."""


class Absent(Stated, LookupError):
    """A name that leads to nothing."""


def found_and_expected(error: BaseException) -> tuple[str, str]:
    """The fields of an error that has them; of another one its words, and "" for what was expected."""
    if isinstance(error, Stated):
        return error.found, error.expected
    return str(error.args[0] if error.args else error), ""


class SkyloomError(Exception):
    """Base of every error that a person is meant to read."""

    exit_code = EXIT_INTERNAL


class UsageError(SkyloomError):
    """The command line asks for something that does not exist (a scenario, a live run, a node)."""

    exit_code = EXIT_USAGE


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in an input file: where it stands, what was found and what was expected."""

    where: str  # "leo.toml:31" or "--set shell.planes"
    key: str  # "links.isl.delay", or "" where the file does not parse at all
    found: str
    expected: str

    def __str__(self) -> str:
        where, key, found, expected = map(one_line, (self.where, self.key, self.found, self.expected))
        return f"{f'{where}  {key}'.rstrip()}\n  found     {found}\n  expected  {expected}"


class ScenarioError(SkyloomError):
    """A scenario or data file is wrong; carries every problem found, not only the first."""

    exit_code = EXIT_DATA

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n\n".join(str(problem) for problem in problems))
        self.problems = problems


class DataError(SkyloomError):
    """A data file (TLE, trace, topology file) cannot be used; the message names file and line."""

    exit_code = EXIT_DATA


class PlatformError(SkyloomError):
    """This machine lacks something; the message says what, and how to get it."""

    exit_code = EXIT_PLATFORM


class EmulationError(SkyloomError):
    """The emulation could not do what was asked: a process, a device or the relay failed."""

    exit_code = EXIT_INTERNAL

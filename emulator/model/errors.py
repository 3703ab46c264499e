"""The error tree: one class per situation, each with the exit code that the command line ends with.

A message names what was found, where, what was expected and what to do. No other error is raised on purpose.
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
    """An error with the found and the expected value as two fields, so that no caller parses the message."""

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(found, expected)
        self.found = found
        self.expected = expected

    def __str__(self) -> str:
        return f"{self.found}; expected {self.expected}"


class Unfit(Stated, ValueError):
    """A value that does not fit."""


class Absent(Stated, LookupError):
    """An unknown name."""


def found_and_expected(error: BaseException) -> tuple[str, str]:
    """The two fields of a `Stated` error; of any other error its text, and "" as the expected value."""
    if isinstance(error, Stated):
        return error.found, error.expected
    return str(error.args[0] if error.args else error), ""


class SkyloomError(Exception):
    """Base of every error for users."""

    exit_code = EXIT_INTERNAL


class UsageError(SkyloomError):
    """The command line names something that does not exist (a scenario, a live run, a node)."""

    exit_code = EXIT_USAGE


@dataclass(frozen=True, slots=True)
class Problem:
    """One error in an input file: its place, the found and the expected value."""

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
    """This machine lacks something; the message names it, and how to install it."""

    exit_code = EXIT_PLATFORM


class EmulationError(SkyloomError):
    """The emulation has failed: a process, a device or the relay."""

    exit_code = EXIT_INTERNAL


class ProgramError(EmulationError):
    """A program of a node has failed before it was ready; the exit code is that of its own error."""

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.exit_code = exit_code

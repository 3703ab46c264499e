"""Names of nodes, link ends and programs, and the globs that choose among them.

Invariant: a glob is matched as the shell does, with case; "*" stands for ":" and "/" too.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase


def matching(globs: Iterable[str], names: Iterable[str]) -> list[str]:
    """The names that any of the globs matches, in the order of `names`."""
    globs = tuple(globs)
    return [name for name in names if matches(globs, name)]


def matches(globs: Iterable[str], name: str) -> bool:
    """Whether any of the globs matches the name."""
    return any(fnmatchcase(name, glob) for glob in globs)

"""What a node's host is like, as plain values. Invariant: paths are absolute, and as the node's programs see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class PrivateFolder:
    """A folder of which the node has its own: empty, or showing what the machine has there until it is changed."""

    path: str
    over_machine: bool = False
    of_image: bool = False  # the image's own, or an empty one where it has none; on a node with an image alone


@dataclass(frozen=True, slots=True)
class HostFile:
    """A file that is there before the first program of the node starts."""

    path: str
    content: str
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class HostSettings:
    """The host of one node.

    `root`: the unpacked image that it sees instead of the machine's files. `names`: the text of its /etc/hosts where it
    has an image. `shared`: folders of the machine that it sees whatever covers them. `run_folder`: another one, which
    it may always write to; `working_folder`: the node's own in it.
    """

    name: str
    private: tuple[PrivateFolder, ...] = ()
    files: tuple[HostFile, ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    read_only: bool = False
    root: Path | None = None
    names: str = ""
    shared: tuple[str, ...] = ()
    run_folder: str = ""
    working_folder: str = ""

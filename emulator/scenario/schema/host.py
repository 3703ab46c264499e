"""The tables [[host]] and [[file]]: how nodes look to the software that runs on them.

Invariant: a key that a table does not set stays unset, so that later tables override earlier ones key by key; the text
of a template file is taken into the scenario when it is loaded, so that a run folder holds what was played.
"""

from __future__ import annotations

import re
import resource
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, WithJsonSchema, model_validator

from emulator.model.errors import Unfit
from emulator.model.inputs import read_text
from emulator.model.names import matching
from emulator.model.tables import Table
from emulator.model.units import Size, show
from emulator.scenario.schema.checks import choices
from emulator.scenario.schema.field_types import Globs, Template, finite

LIMITS = {name.removeprefix("RLIMIT_").lower(): number for name, number in vars(resource).items() if "RLIMIT_" in name}
_SETTING = re.compile(r"net(\.[A-Za-z0-9_:-]+)+")
_NEVER_PRIVATE = ("/", "/dev", "/proc", "/sys")
LEAST_CPU = 0.01  # cores; the kernel shares out 1 ms of 100 ms and no less
LEAST_MEMORY_BYTES = 1e6


def _folder(path: str) -> str:
    plain = str(PurePosixPath(path))
    if not plain.startswith("/") or ".." in PurePosixPath(plain).parts or plain.startswith("//"):
        raise Unfit(repr(path), "an absolute path without '..', such as '/var/lib/app'")
    if plain in _NEVER_PRIVATE:
        raise Unfit(repr(path), f"another folder than {', '.join(_NEVER_PRIVATE)}")
    return plain


def _setting(key: str) -> str:
    if not _SETTING.fullmatch(key):
        raise Unfit(repr(key), "a setting of the network namespace, such as 'net.ipv4.tcp_congestion_control'")
    return key


def _limit(name: str) -> str:
    if name not in LIMITS:
        raise Unfit(repr(name), f"the name of a limit{choices(name, list(LIMITS))}")
    return name


def _processor(cores: float) -> float:
    if cores < LEAST_CPU:
        raise Unfit(f"{cores:g}", f"at least {LEAST_CPU:g} cores")
    return cores


def _memory(size_bytes: float) -> float:
    if finite(size_bytes) < LEAST_MEMORY_BYTES:
        raise Unfit(show(size_bytes, "size"), f"at least {show(LEAST_MEMORY_BYTES, 'size')}")
    return size_bytes


def _mode(text: str) -> str:
    if not re.fullmatch(r"0?[0-7]{3,4}", text):
        raise Unfit(repr(text), "an octal mode, such as '0640'")
    return text


class Private(Table):
    """A folder of which each node has its own. A text stands for an empty one."""

    path: Annotated[str, AfterValidator(_folder)]
    """The folder, which this machine has (or the image, or another private folder)."""
    from_: Literal["host", "image"] | None = Field(None, alias="from")
    """"host": it shows what the machine has there, and changes stay on the node; "image": what the node's image has
    there, if anything. Without it the folder is empty."""


def _folders(value: Any) -> Any:
    return [{"path": each} if isinstance(each, str) else each for each in value] if isinstance(value, list) else value


_FOLDERS_OR_TABLES = WithJsonSchema(
    {
        "type": "array",
        "items": {
            "anyOf": [
                {"type": "string"},
                {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["path"],
                    "properties": {"path": {"type": "string"}, "from": {"enum": ["host", "image"]}},
                },
            ]
        },
    }
)


class Host(Table):
    """How nodes look to the programs and commands on them; later tables override earlier ones key by key."""

    nodes: Globs
    """Names and globs of live nodes."""
    image: str | None = Field(None, min_length=1)
    """An OCI image layout, a `docker save` archive, or an unpacked root folder: what the nodes see as their files."""
    user: str | None = Field(None, min_length=1, max_length=200)
    """Who programs run as on nodes with an image, instead of the image's user: a name or a number of the image, with a
    group after ":" at will."""
    working_folder: str | None = Field(None, pattern="^/")
    """Where commands run on nodes with an image, instead of the image's working folder."""
    private: Annotated[tuple[Private, ...], BeforeValidator(_folders), _FOLDERS_OR_TABLES] | None = None
    """Folders of which each node has its own, in memory, for the time of the run; /tmp always is one."""
    sysctl: dict[Annotated[str, AfterValidator(_setting)], str | int] | None = None
    """Settings of the network namespace (`net.…`), as text or a number."""
    limits: dict[Annotated[str, AfterValidator(_limit)], Annotated[int, Field(ge=0)]] | None = None
    """Resource limits of each process, by their name in `ulimit` tables: nofile, nproc, stack, core, …"""
    cpu: Annotated[float, AfterValidator(_processor)] | None = None
    """Processor cores that all processes of a node together may use."""
    memory_bytes: Annotated[Size, AfterValidator(_memory)] | None = None
    """Memory that all processes of a node together may use; beyond it the kernel ends one of them."""
    read_only: bool | None = None
    """Whether the machine's files are read-only, but for private folders, /tmp and the run folder."""


class File(Table):
    """A file that nodes have before their first program starts, with placeholders filled in."""

    nodes: Globs
    """Names and globs of live nodes."""
    path: str = Field(min_length=1)
    """Absolute, in a private folder, in /tmp or anywhere in an image; or relative to the node's working folder."""
    content: Template
    """Its text. Or `from`: a template file, whose text is taken when the scenario is loaded."""
    mode: Annotated[str, AfterValidator(_mode)] = "0644"
    """Its mode, octal."""
    join: str = ","
    """Text between the items of `{nodes:GLOB}` and `{addresses:GLOB}`."""

    @model_validator(mode="before")
    @classmethod
    def _from_template(cls, data: Any, info: ValidationInfo) -> Any:
        if not isinstance(data, dict) or "from" not in data:
            return data
        given = dict(data)
        name = given.pop("from")
        if "content" in given:
            raise Unfit("both `content` and `from`", "one of them")
        if not isinstance(name, str):
            raise Unfit(f"`from` = {name!r}", "the path of a template file")
        try:
            return given | {"content": read_text(Path((info.context or {}).get("directory", "."), name))}
        except UnicodeDecodeError:
            raise Unfit(f"`from` = {name!r}, whose bytes are no UTF-8", "a text") from None
        except OSError as error:
            raise Unfit(f"`from` = {name!r}: {error.strerror}", "a file that can be read") from None

    @model_validator(mode="after")
    def _stays_inside(self) -> File:
        if ".." in PurePosixPath(self.path).parts or self.path.endswith("/"):
            raise Unfit(repr(self.path), "the path of a file, without '..'")
        return self


def host_of(tables: Sequence[Host], node: str) -> Host | None:
    """What holds for a node; None where no table concerns it."""
    concerned = [table for table in tables if matching(table.nodes, [node])]
    if not concerned:
        return None
    merged: dict[str, Any] = {}
    for table in concerned:
        merged |= {name: value for name in Host.model_fields if (value := getattr(table, name)) is not None}
    return concerned[0].model_copy(update=merged)

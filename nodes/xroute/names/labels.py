"""Names of zones, chains and applications, `app.chain.zone`, and the keys under which a registry keeps their records.

Invariant: different names have different keys, and no name has the key of anything else that the store holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from emulator.model.errors import Unfit

__all__ = ["PREFIX", "STORE", "NotAName", "ancestry", "checked_name", "key_of", "parent_of", "registries_of", "zone_of"]

STORE = "xname"  # the name of the store, and so the first part of Merkle paths into it
PREFIX = "xname/"
RESERVED = frozenset({"bind", "commit", "lease", "seen"})  # beside the records, keys that begin so are the module's own
MOST_LABELS = 4
MOST_BYTES = 255
_LABEL = re.compile(r"[a-z0-9-]{1,63}")


class NotAName(Unfit):
    """A text that is no name."""


def checked_name(name: str) -> str:
    """The name itself. NotAName for another text."""
    labels = name.split(".")
    if len(labels) > MOST_LABELS or len(name) > MOST_BYTES:
        raise NotAName(f"name {name[:64]!r}", f"at most {MOST_LABELS} labels and {MOST_BYTES} bytes")
    if wrong := [label for label in labels if not _LABEL.fullmatch(label)]:
        raise NotAName(f"label {wrong[0][:64]!r}", "1 to 63 of a to z, 0 to 9 and -")
    if labels[-1] in RESERVED:
        raise NotAName(f"zone {labels[-1]!r}", f"another one than {', '.join(sorted(RESERVED))}")
    return name


def key_of(name: str) -> bytes:
    """Where the record of a name lies: `xname/zone/chain/app`. NotAName for another text."""
    return (PREFIX + "/".join(reversed(checked_name(name).split(".")))).encode()


def ancestry(name: str) -> tuple[str, ...]:
    """The names that a name lies under, from the zone down to itself: `zone`, `chain.zone`, `app.chain.zone`."""
    labels = checked_name(name).split(".")
    return tuple(".".join(labels[at:]) for at in reversed(range(len(labels))))


def parent_of(name: str) -> str:
    """The name without its first label; "" for a zone."""
    return name.partition(".")[2]


def zone_of(text: str) -> str:
    """The last label, of a text that need be no name."""
    return text.rpartition(".")[2]


def registries_of(entries: Iterable[str]) -> list[tuple[str, str]]:
    """Zones, and the node of the chain that keeps each, of entries `ZONE NODE`. Unfit for another one."""
    found = [tuple(entry.split()) for entry in entries]
    for words in found:
        if len(words) != 2 or parent_of(checked_name(words[0])):
            raise Unfit(f"registry {' '.join(words)!r}", "ZONE NODE, such as cosmos names-0")
    return [(zone, node) for zone, node in found]

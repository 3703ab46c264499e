"""What registries have proved of names, positive and negative, kept for as long as it may be used.

Invariant: of a name and a registry the cache never goes back: neither to a lower seq nor to an older state that says
something else. It remembers what it has seen for that, also where it is too old to be used. Bounded: it forgets what
was used longest ago.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from nodes.ibc.client.states import rank, written
from nodes.xroute.identity import ChainIdentity
from nodes.xroute.names.evidence import Proven, Reason, Refused

__all__ = ["Cache"]


class _Entry(NamedTuple):
    proven: Proven  # of the highest height
    seq: int  # of the last version that was seen, also where the name is absent now; 0: none was
    version: bytes  # that version


class Cache:
    """By registry and name."""

    def __init__(self, most: int = 4096) -> None:
        self._most = most
        self._entries: OrderedDict[tuple[ChainIdentity, str], _Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def fresh(self, registry: ChainIdentity, name: str, now_ns: int, most_age_ns: int) -> Proven | None:
        """What was proved, if it still may be used."""
        entry = self._entries.get((registry, name))
        if entry is None or not entry.proven.is_fresh(now_ns, most_age_ns):
            return None
        self._entries.move_to_end((registry, name))
        return entry.proven

    def add(self, registry: ChainIdentity, proven: Proven) -> None:
        """Remember what was proved. Refused where a later state of the same registry is known, or another one."""
        place = registry, proven.proof.name
        old = self._entries.get(place)
        seq, version = (0, b"") if proven.record is None else (proven.record.seq, proven.proof.record)
        if old is not None:
            _require_onward(old, proven, seq, version)
            if seq < old.seq:  # the name is absent now
                seq, version = old.seq, old.version
            if rank(proven.proof.height) < rank(old.proven.proof.height):
                proven = old.proven
        self._entries[place] = _Entry(proven, seq, version)
        self._entries.move_to_end(place)
        if len(self._entries) > self._most:
            self._entries.popitem(last=False)


def _require_onward(old: _Entry, proven: Proven, seq: int, version: bytes) -> None:
    name = proven.proof.name
    if proven.record is not None:
        if seq < old.seq:
            raise Refused(Reason.ROLLED_BACK, f"version {seq} of {name}", f"{old.seq} or later")
        if seq == old.seq and version != old.version:
            raise Refused(
                Reason.CONTRADICTION, f"another version {seq} of {name}", f"the one of before, {old.version.hex()}"
            )
    known = old.proven.proof
    if rank(proven.proof.height) < rank(known.height) and proven.proof.record != known.record:
        found = f"{name} as of height {written(proven.proof.height)}"
        raise Refused(Reason.ROLLED_BACK, found, f"as of {written(known.height)}, or later")

"""What names stood for in a run of `xroute`, by the registry's own blocks, and how policies by names read then.

Invariant: it rests on the registry's blocks alone, and on no proof that a relayer brought.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise, product

from nodes.ibc.core.events import Event
from nodes.xroute.identity import ChainIdentity
from nodes.xroute.names.record import Kind, Record, identity_of, read
from nodes.xroute.policy.attributes import RouteAttributes
from nodes.xroute.policy.clauses import Policy
from nodes.xroute.policy.evaluation import first_failing
from nodes.xroute.proofs.names import Named, names_in

__all__ = ["Naming"]

_END_NS = 1 << 63
_NS = 10**9


class Naming:
    """All versions of the records of names."""

    def __init__(self) -> None:
        self._versions: defaultdict[str, list[tuple[int, Record]]] = defaultdict(list)  # by name, each with its time

    def saw(self, event: Event, time_ns: int) -> None:
        """An event of the registry's blocks, in order."""
        if event.type == "xname_record":
            self._versions[event["name"]].append((time_ns, read(bytes.fromhex(event["record_hex"]))))

    def failing(self, policy: Policy, attributes: RouteAttributes, time_ns: int) -> int | None:
        """The first clause that does not hold at a time; None where all hold by a reading of the policy."""
        failing = [first_failing(each, attributes) for each in self._readings(policy, time_ns)]
        return None if None in failing else failing[0]

    def decides(self, policy: Policy, routes: Sequence[RouteAttributes]) -> bool:
        """Whether routes comply with a policy only because of what its names stand for."""
        return bool(names_in(policy)) and any(first_failing(policy, route) is not None for route in routes)

    @property
    def figures(self) -> dict[str, int]:
        """How many names there are, and of how many there was a second version."""
        return {"names": len(self._versions), "names_renewed": sum(len(each) > 1 for each in self._versions.values())}

    def _readings(self, policy: Policy, time_ns: int) -> Iterator[Policy]:
        """The policy with identities in place of names: by each version that may be believed at a time."""
        names = names_in(policy)
        for meant in product(*(self._meant(name, time_ns) or (None,) for name in names)):
            yield Named({name: each for name, each in zip(names, meant, strict=True) if each}).by_identity(policy)

    def _meant(self, name: str, time_ns: int) -> tuple[ChainIdentity, ...]:
        """What a name may stand for: by the version that the registry holds, and by those before it for their TTL."""
        ends = [*self._versions.get(name, ()), (_END_NS, None)]
        found = [
            identity_of(record)
            for (begin_ns, record), (end_ns, _) in pairwise(ends)
            if record is not None and record.kind is Kind.CHAIN and not record.is_revoked
            and begin_ns <= time_ns < end_ns + record.ttl_s * _NS
        ]  # fmt: skip
        return tuple(dict.fromkeys(found))

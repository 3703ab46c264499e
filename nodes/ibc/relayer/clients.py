"""The clients that a relayer keeps up to date: what each knows, and the headers that teach it more.

Invariant: a header is sent only where the light client, run here first, accepts it from a height that the client on the
chain has; where signers are not known well enough, headers between come before it.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from math import inf

from nodes.ibc.client.tendermint import consensus_state_of
from nodes.ibc.comet.commits import SignatureCache
from nodes.ibc.comet.light import LightError, NotEnoughTrust, Policy, Trusted, verify
from nodes.ibc.core.identifiers import revision
from nodes.ibc.proto.comet import Header as CometHeader
from nodes.ibc.proto.comet import SignedHeader, Validator, ValidatorSet
from nodes.ibc.proto.cosmos_base import PageRequest
from nodes.ibc.proto.ibc import ClientState, ConsensusState, Header, Height, MsgUpdateClient
from nodes.ibc.proto.queries import (
    QueryClientStateRequest,
    QueryClientStateResponse,
    QueryClientStatusRequest,
    QueryClientStatusResponse,
    QueryConsensusStateHeightsRequest,
    QueryConsensusStateHeightsResponse,
    QueryConsensusStateRequest,
    QueryConsensusStateResponse,
)
from nodes.ibc.proto.well_known import Any
from nodes.ibc.proto.wire import Message
from nodes.ibc.relayer.calls import Ask, Blocked, Flow, SignedHeaderAt, Unanswered, ValidatorsAt, header_of, opened
from nodes.ibc.relayer.clock import Clock

QUERY = "/ibc.core.client.v1.Query"
_PAGE = 1000
_REFRESHES = 3  # in a trusting period
_MOST_HEIGHTS = 1000  # that are remembered of a client: the highest ones


class Client:
    """The client `name` on chain `host`, which follows chain `subject`."""

    def __init__(self, host: str, name: str, subject: str, clock: Clock, cache: SignatureCache) -> None:
        self.host, self.name, self.subject = host, name, subject
        self.heights: list[int] = []  # of the subject, that it knows, as far as they are remembered
        self.chain_id = ""  # of the subject
        self.newest_ns = 0  # time of the highest of them
        self.trusting_ns = 0
        self.updates = 0  # headers that were sent
        self.own: dict[int, ConsensusState] = {}  # what it should know by height, as this relayer's own node says
        self.spared = 0  # times that a height it knew already was enough
        self._clock = clock
        self._cache = cache
        self._policy = Policy(1)

    @property
    def refresh_due_ns(self) -> float:
        return self.newest_ns + self.trusting_ns / _REFRESHES if self.trusting_ns else inf

    @property
    def latest(self) -> int:
        return self.heights[-1] if self.heights else 0

    def height(self, number: int) -> Height:
        """A height of the subject as messages have it."""
        return Height(revision(self.chain_id), number)

    def learned(self, number: int) -> None:
        """The chain says that the client knows this height."""
        place = bisect_left(self.heights, number)
        if self.heights[place : place + 1] != [number]:
            insort(self.heights, number)
            del self.heights[:-_MOST_HEIGHTS]
        self._age(number)

    def found(self, header: CometHeader) -> ConsensusState:
        """This relayer's own node has a header: what the client should know of its height."""
        state = self.own[header.height] = consensus_state_of(header)
        if len(self.own) > _MOST_HEIGHTS:
            del self.own[next(iter(self.own))]
        self._age(header.height)
        return state

    def _age(self, number: int) -> None:
        if number in self.own and number == self.latest:
            self.newest_ns = max(self.newest_ns, self.own[number].timestamp.ns)

    def load(self) -> Flow[None]:
        """Ask the chain what the client is and knows."""
        ask = Ask(self.host, f"{QUERY}/ClientState", QueryClientStateRequest(self.name), QueryClientStateResponse)
        (answer,) = yield (ask,)
        state = opened(answer.client_state, ClientState)
        if state.chain_id != self.chain_id:  # an upgraded chain counts anew
            self.heights, self.own = [], {}
        self.chain_id, self.trusting_ns = state.chain_id, state.trusting_period.ns
        self._policy = Policy(self.trusting_ns, state.trust_level, state.max_clock_drift.ns)
        heights, now = self.heights, state.latest_height.revision_number
        key = b""
        while True:
            asked = QueryConsensusStateHeightsRequest(self.name, PageRequest(key=key, limit=_PAGE))
            path = f"{QUERY}/ConsensusStateHeights"
            (page,) = yield (Ask(self.host, path, asked, QueryConsensusStateHeightsResponse),)
            known = page.consensus_state_heights
            found = (height.revision_height for height in known if height.revision_number == now)
            heights = sorted({*heights, *found})[-_MOST_HEIGHTS:]
            key = page.pagination.next_key if page.pagination else b""
            if not key:
                break
        self.heights = heights
        latest = QueryConsensusStateRequest(self.name, latest_height=True)
        (answer,) = yield (Ask(self.host, f"{QUERY}/ConsensusState", latest, QueryConsensusStateResponse),)
        self.newest_ns = max(self.newest_ns, opened(answer.consensus_state, ConsensusState).timestamp.ns)

    def require_active(self) -> Flow[None]:
        """Blocked where the client is expired or frozen."""
        ask = Ask(self.host, f"{QUERY}/ClientStatus", QueryClientStatusRequest(self.name), QueryClientStatusResponse)
        (answer,) = yield (ask,)
        if answer.status != "Active":
            raise Blocked(f"client {self.name} on {self.host} is {answer.status.lower()}")

    def reach(self, needed: int, head: int) -> Flow[tuple[int, list[Message]]]:
        """A height from `needed` on that proofs may be of, and the updates, if any, that make the client know it."""
        if not self.chain_id:
            yield from self.load()
        place = bisect_left(self.heights, needed)
        if place < len(self.heights):
            self.spared += 1
            return self.heights[place], []
        yield from self.require_active()
        return head, (yield from self.updates_to(head))

    def updates_to(self, target: int) -> Flow[list[Message]]:
        """Messages that bring the client to a height that it does not know yet. Blocked where none can."""
        headers = yield from self.headers(target)
        self.updates += len(headers)
        return [MsgUpdateClient(self.name, Any.of(header), "") for header in headers]

    def headers(self, target: int) -> Flow[list[Header]]:
        """Headers that lead from the highest height below `target` that the client knows to it, in order."""
        place = bisect_left(self.heights, target)
        if not place:
            raise Blocked(f"client {self.name} on {self.host} knows no height below {target}")
        trusted = yield from self._trusted(self.heights[place - 1])
        ahead, path = [target], []
        while ahead:
            wanted = ahead[-1]
            signed, validators = yield SignedHeaderAt(self.subject, wanted), ValidatorsAt(self.subject, wanted)
            header = header_of(signed)
            try:
                verify(trusted, signed, validators, self._policy, self._clock.now_ns, self._cache)
            except NotEnoughTrust:
                ahead.append((trusted.height + wanted) // 2)
                continue
            except LightError as error:
                raise Blocked(f"header {wanted} of {self.subject} is refused: {error}") from None
            path.append(self._header(signed, validators, trusted))
            self.found(header)
            ahead.pop()
            if ahead:
                trusted = yield from self._trusted(wanted)
        return path

    def header(self, signed: SignedHeader, validators: Sequence[Validator]) -> Flow[Header]:
        """A header, true or not, after the highest height below it that the client knows."""
        height = header_of(signed).height
        place = bisect_left(self.heights, height)
        if not place:
            raise Blocked(f"client {self.name} on {self.host} knows no height below {height}")
        return self._header(signed, validators, (yield from self._trusted(self.heights[place - 1])))

    def _header(self, signed: SignedHeader, validators: Sequence[Validator], trusted: Trusted) -> Header:
        proposer = header_of(signed).proposer_address
        return Header(signed, _set(validators, proposer), self.height(trusted.height), _set(trusted.next_validators))

    def _trusted(self, height: int) -> Flow[Trusted]:
        signed, validators = yield SignedHeaderAt(self.subject, height), ValidatorsAt(self.subject, height + 1)
        header = header_of(signed)
        if header.chain_id != self.chain_id:
            raise Unanswered(f"{self.subject} is chain {header.chain_id}, the client follows {self.chain_id}")
        return Trusted(header.chain_id, height, header.time.ns, header.next_validators_hash, validators)


def _set(validators: Sequence[Validator], proposer: bytes = b"") -> ValidatorSet:
    """Validators as a header carries them."""
    first = next((each for each in validators if each.address == proposer), validators[0])
    return ValidatorSet(tuple(validators), first, sum(each.voting_power for each in validators))

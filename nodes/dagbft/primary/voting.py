"""Headers of other validators: their checks, the wait for what they lack, and the vote on them.

Invariant: this validator votes for a header only if it holds all its parents and all its batches, at the workers that
the header names, if its mode is the one that follows from its past, and if it is the first of its (round, author). The
effects that send a vote also record it.
"""

from __future__ import annotations

from nodes.dagbft.field_types import vote_digest
from nodes.dagbft.identity import Verifier, check_header
from nodes.dagbft.messages import Header, Vote
from nodes.dagbft.primary.coin import Coin
from nodes.dagbft.primary.payload import Name
from nodes.dagbft.primary.records import vote_record
from nodes.dagbft.primary.requests import DagRequests, SynchronizeRequests
from nodes.dagbft.primary.shared import Shared, Signer
from nodes.dagbft.primary.suspended import SuspendedItems
from nodes.dagbft.wire import is_batch


class Voting:
    """Part of a primary's core, which it accesses as `Shared`."""

    def __init__(
        self,
        core: Shared,
        signer: Signer,
        verifier: Verifier,
        coin: Coin | None,
        certificates: DagRequests,
        batches: SynchronizeRequests,
    ) -> None:
        self.suspended: SuspendedItems[bytes | Name, Header] = SuspendedItems()
        self._core = core
        self._signer = signer
        self._verifier = verifier
        self._coin = coin
        self._certificates = certificates
        self._batches = batches

    def on_header(self, peer: int, header: Header, now_s: float) -> None:
        """Refuse a received header, vote for it, or suspend it."""
        core = self._core
        if reason := self._refusal(peer, header):
            core.reject(reason, peer)
        elif (suspended := self.suspended.get((header.round, header.author))) is not None:
            if suspended.id != header.id:
                core.reject("parked", peer)
        else:
            self._vote(header, now_s)

    def arrived(self, key: bytes | Name, now_s: float) -> None:
        """A certificate or a batch has arrived."""
        for header in self.suspended.arrived(key):
            self._vote(header, now_s)

    def _refusal(self, peer: int, header: Header) -> str:
        """The reason for which a header is refused; "" if it is sound."""
        core = self._core
        floor = core.blocks.floor
        if peer != header.author:
            return "sender"
        if header.round <= floor + (floor > 0):  # its parents must be above the floor, too
            return "stale"
        if header.round > max(core.proposer.round, core.pace.round) + core.config.window:
            return "future"
        if len(header.inline) > core.config.inline_bytes or not is_batch(header.inline):
            return "inline"
        if reason := check_header(header, core.roster, self._verifier):
            return reason
        sound = self._coin is None or self._coin.accepts(header.author, header.round, header.coin_share)
        return "" if sound else "coin"

    def _vote(self, header: Header, now_s: float) -> None:
        """Vote for a sound header, or suspend it until its parents and batches have arrived."""
        core, author, round = self._core, header.author, header.round
        voted = core.votes.find((round, author))
        if voted is not None and voted != header.id:
            return core.reject("equivocation", author)
        if core.probing or (voted is None and round <= core.votes.quiet):
            core.counts["quiet"] += 1
            return None
        if voted is None:
            parents = [parent for parent in header.parents if core.blocks.get(parent) is None]
            batches = core.payload.missing(header.payload)
            if parents or batches:
                return self._suspend(header, parents, batches, now_s)
            if core.blocks.parents(round, header.parents) is None:
                return core.reject("parents", author)
            if core.payload.summary(header.payload, core.keys_of(header.inline)) != header.summary:
                return core.reject("summary", author)
            mode = core.blocks.mode_of(author, round, header.parents)
            if mode is None:
                core.counts["modes unknown"] += 1
                return None
            if mode != header.mode:
                return core.reject("mode", author)
            core.votes.enter((round, author), header.id)
            core.effects.persist.append(vote_record(round, author, header.id))
        signature = self._signer.sign(vote_digest(header.id, round, author))
        core.effects.send.append((author, Vote(header.id, round, author, core.me, signature)))
        return None

    def _suspend(self, header: Header, parents: list[bytes], batches: list[Name], now_s: float) -> None:
        core, author = self._core, header.author
        if self.suspended.count(author) >= core.config.most_parked:  # keep the newest: older ones may come again
            core.reject("parked", author)
            if not self.suspended.drop_oldest(author, header.round):
                return None
        lacks = self.suspended.lacks(author)
        if lacks and lacks + len(parents) + len(batches) > core.config.most_lacking:
            return core.reject("lacking", author)
        self.suspended.suspend((header.round, author), header, [*parents, *batches])
        core.counts["parked"] += 1
        for parent in parents:
            if not core.blocks.knows(parent):
                self._certificates.request(parent, (author,), now_s)
        for name in batches:
            self._batches.request(name, (author,), now_s)
        return None

    def collect(self, floor: int) -> None:
        """Drop votes and headers of rounds up to `floor`, and requests for what these lacked."""
        core = self._core
        core.effects.persist += [vote_record(*slot, None) for slot in core.votes.collect(floor)]
        for header in self.suspended.collect(floor + 1):  # what certified blocks lack too is requested again
            for name in header.payload:
                if not self.suspended.needs(name):
                    self._batches.received(name)
        self._certificates.keep(lambda digest: core.blocks.needs(digest) or self.suspended.needs(digest))

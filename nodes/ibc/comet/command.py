"""`skyloom verify header FILE...`: blocks of a CometBFT chain, each checked from the one before.

Files are answers of a node's RPC, saved as they came, in any order: `commit` and `validators` of each height, and
`validators` of the next one where a gap follows. A file may also be a whole light block: an object with
`signed_header`, `validator_set` and `next_validator_set`. Invariant: only the lowest block is trusted unseen.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer

from emulator.model import units
from emulator.model.errors import EXIT_FAIL, EXIT_PASS, DataError, UsageError
from emulator.model.inputs import parse_json, read_text
from nodes.ibc.comet import json_form
from nodes.ibc.comet.commits import CommitError, SignatureCache, verify_commit
from nodes.ibc.comet.hashes import ordered, validators_hash
from nodes.ibc.comet.json_form import JsonError
from nodes.ibc.comet.light import (
    LightError,
    NotEnoughTrust,
    Policy,
    Trusted,
    check_signed_header,
    is_trust_level,
    verify,
)
from nodes.ibc.comet.moments import read_time
from nodes.ibc.proto.comet import Header, SignedHeader, Validator
from nodes.ibc.proto.ibc import Fraction


@dataclass(slots=True)
class Chain:
    """What the files tell, by height."""

    headers: dict[int, SignedHeader] = field(default_factory=dict)
    validators: dict[int, tuple[Validator, ...]] = field(default_factory=dict)  # pages of a set are joined

    def add(self, document: Any) -> None:
        """Take what one file holds. ValueError where it is neither a commit nor validators."""
        content = document.get("result", document) if isinstance(document, Mapping) else None
        if not isinstance(content, Mapping) or not {"signed_header", "validators"} & content.keys():
            raise JsonError("neither `signed_header` nor `validators`", "an answer to `commit` or `validators`")
        if "signed_header" not in content:
            self._add_validators(json_form.read_number(content, "block_height"), content["validators"])
            return
        signed = json_form.read_signed_header(content["signed_header"])
        assert signed.header is not None
        height = signed.header.height
        if self.headers.setdefault(height, signed) != signed:
            raise JsonError(f"a second block of height {height}", "one of each height")
        for name, of_height in (("validator_set", height), ("next_validator_set", height + 1)):
            if content.get(name) is not None:
                self._add_validators(of_height, json_form.read_list(content[name], "validators"))

    def _add_validators(self, height: int, entries: Any) -> None:
        known = self.validators.get(height, ())
        fresh = [each for each in json_form.read_validators(entries) if each not in known]
        self.validators[height] = ordered((*known, *fresh))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one block."""

    height: int
    from_height: int | None  # None: the first, which is trusted
    verdict: str  # trusted, verified, not enough trust, invalid
    reason: str = ""

    @property
    def holds(self) -> bool:
        return self.verdict in ("trusted", "verified")

    def __str__(self) -> str:
        step = "the first block" if self.from_height is None else f"from {self.from_height}"
        return f"{self.height}  {step}: {self.verdict}" + (f" ({self.reason})" if self.reason else "")


def header(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Answers to commit and validators, as JSON.")],
    trust_level: Annotated[str, typer.Option(help="Share of known power that must sign a later block.")] = "1/3",
    trusting_period: Annotated[str, typer.Option(help="How long a block is trusted.")] = "14 d",
    clock_drift: Annotated[str, typer.Option(help="How far a block may be ahead of the clock.")] = "10 s",
    now: Annotated[str, typer.Option(help="The time, as 2026-11-30T12:00:00Z; else that of the newest block.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a block.")] = False,
) -> int:
    """Blocks of a CometBFT chain, as a light client checks them: signatures, power, time, from the lowest block up."""
    policy = Policy(_span_ns(trusting_period), _level(trust_level), _span_ns(clock_drift))
    chain = read(files)
    if not chain.headers:
        raise DataError("no file holds a `signed_header`; expected the answer to `commit` in one of them")
    newest_ns = max(each.header.time.ns for each in chain.headers.values() if each.header is not None)
    try:
        now_ns = read_time(now).ns if now else newest_ns
    except ValueError as error:
        raise UsageError(f"--now: {error}") from None
    outcome = True
    for verdict in steps(chain, policy, now_ns):
        fields = {"height": verdict.height, "from": verdict.from_height, "verdict": verdict.verdict}
        typer.echo(json.dumps({**fields, "reason": verdict.reason}) if as_json else str(verdict))
        outcome = verdict.holds
    return EXIT_PASS if outcome else EXIT_FAIL


def read(files: Iterable[str]) -> Chain:
    """What files hold together. DataError with the file where one cannot be used."""
    chain = Chain()
    for path in files:
        try:
            chain.add(parse_json(read_text(path)))
        except OSError as error:
            raise DataError(f"{path}: {error.strerror}; expected an answer of a node as JSON") from None
        except ValueError as error:
            raise DataError(f"{path}: {error}") from None
    return chain


def steps(chain: Chain, policy: Policy, now_ns: int) -> Iterator[Verdict]:
    """The verdict on each block, lowest first, up to the first that does not hold."""
    cache = SignatureCache()
    first, *others = sorted(chain.headers)
    try:
        own, _ = check_signed_header(chain.headers[first], _chain_id(chain.headers[first]))
        _check_own(chain, own, cache)
    except (LightError, CommitError) as error:
        yield Verdict(first, None, "invalid", str(error))
        return
    yield Verdict(first, None, "trusted")
    trusted = own
    for height in others:
        signed = chain.headers[height]
        try:
            verify(
                _ground(chain, trusted, height), signed, _validators(chain, height, "its own"), policy, now_ns, cache
            )
        except NotEnoughTrust as error:
            yield Verdict(height, trusted.height, "not enough trust", f"{error}; blocks between may bridge the gap")
            return
        except LightError as error:
            yield Verdict(height, trusted.height, "invalid", str(error))
            return
        yield Verdict(height, trusted.height, "verified")
        assert signed.header is not None
        trusted = signed.header


def _chain_id(signed: SignedHeader) -> str:
    return "" if signed.header is None else signed.header.chain_id


def _check_own(chain: Chain, own: Header, cache: SignatureCache) -> None:
    """LightError or CommitError unless two thirds of a block's own validators signed it."""
    commit = chain.headers[own.height].commit
    validators = _validators(chain, own.height, "its own")
    assert commit is not None
    if validators_hash(validators) != own.validators_hash:
        raise LightError("validators whose hash is another", own.validators_hash.hex())
    verify_commit(own.chain_id, validators, commit, cache)


def _ground(chain: Chain, trusted: Header, height: int) -> Trusted:
    """A trusted block as the ground of a step. Over a gap the validators after it are needed."""
    validators: tuple[Validator, ...] = ()
    if height > trusted.height + 1:
        validators = _validators(chain, trusted.height + 1, f"those that follow {trusted.height}")
        if validators_hash(validators) != trusted.next_validators_hash:
            raise LightError(f"validators after {trusted.height}", f"those of {trusted.next_validators_hash.hex()}")
    return Trusted(trusted.chain_id, trusted.height, trusted.time.ns, trusted.next_validators_hash, validators)


def _validators(chain: Chain, height: int, whose: str) -> tuple[Validator, ...]:
    if height not in chain.validators:
        raise DataError(
            f"no file holds the validators of height {height}, {whose}; expected `validators?height={height}`"
        )
    return chain.validators[height]


def _span_ns(text: str) -> int:
    try:
        return round(units.parse(text, "duration") * 1e9)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{text!r}: {error}") from None


def _level(text: str) -> Fraction:
    numerator, _, denominator = text.partition("/")
    fits = all(part.isascii() and part.isdigit() and len(part) < 10 for part in (numerator, denominator))
    level = Fraction(int(numerator), int(denominator)) if fits else Fraction()
    if not is_trust_level(level):
        raise UsageError(f"--trust-level {text!r}; expected a share from 1/3 to 1/1")
    return level

"""Names under anything that owners, strangers and liars do."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from ibc_chain import SECOND_NS, address
from xroute_names import OTHER, OWNER, TERMS, ZONE, Registrar, Watcher, chain_record

from nodes.xroute.names.cache import Cache
from nodes.xroute.names.evidence import NameProof, Refused
from nodes.xroute.names.labels import PREFIX, STORE, NotAName, ancestry, key_of
from nodes.xroute.names.messages import Lease, MsgCommit
from nodes.xroute.names.record import REVOKED, Kind, Record, RecordError, read
from nodes.xroute.names.registry import ACCOUNT, commitment
from nodes.xroute.names.resolver import Resolution, Resolver

LABEL = st.text("abz09-", min_size=1, max_size=4)
NAME = st.lists(LABEL, min_size=1, max_size=4).map(".".join)
SUBJECTS = ("a.cosmos", "b.cosmos")
KEYS = (OWNER, OTHER)


@given(NAME, NAME)
def test_different_names_have_different_keys(one: str, other: str) -> None:
    assert (key_of(one) == key_of(other)) == (one == other)
    assert ancestry(one)[-1] == one


@given(st.text(max_size=80))
def test_a_text_is_a_name_or_is_refused(text: str) -> None:
    try:
        key = key_of(text)
    except NotAName:
        return
    assert key.decode().removeprefix(PREFIX).split("/") == text.split(".")[::-1]


RECORDS = st.builds(
    Record,
    name=NAME, kind=st.sampled_from(Kind), seq=st.integers(0, 3), ttl_s=st.integers(0, 90),
    owner=st.sampled_from((OWNER.public, b"short")), chain_id=st.sampled_from(("", "x-1")),
    anchor_height=st.integers(0, 1), anchor_hash=st.sampled_from((b"", bytes(32))),
    client_type=st.sampled_from(("", "07-tendermint")), port=st.sampled_from(("", "swap")),
    delegate=st.sampled_from(("", "hub.cosmos")), flags=st.integers(0, 4), not_after_s=st.integers(0, 1 << 40),
)  # fmt: skip


@given(RECORDS)
def test_a_record_is_read_as_it_was_written_or_is_refused(record: Record) -> None:
    try:
        assert read(record.encode()) == record
    except (RecordError, NotAName):
        return


@given(st.binary(max_size=120))
def test_any_bytes_are_a_record_or_an_error(data: bytes) -> None:
    try:
        record = read(data)
    except (RecordError, NotAName):
        return
    assert record.encode() == data


@settings(max_examples=10)
@given(st.integers(0, 1 << 32))
def test_records_belong_to_their_owners_and_deposits_add_up(seed: int) -> None:
    """Whatever is tried: versions go up by one, names change hands by signature or after grace, no coin is lost."""
    random, registrar = Random(seed), Registrar()
    chain = registrar.ticking.chain
    held: dict[str, Record] = {}
    for _ in range(14):
        name, key, by = random.choice(SUBJECTS), random.choice(KEYS), random.choice(("alice", "bob"))
        now_s = chain.moment.time_ns // SECOND_NS
        record = chain_record(
            name, owner=random.choice(KEYS).public, seq=random.choice((1, 2, 3)),
            flags=random.choice((0, 0, 0, REVOKED)), not_after_s=now_s + random.choice((0, 5, 300, 5_000)),
        )  # fmt: skip
        if name in held and random.random() < 0.6:  # often something that could succeed
            record = replace(record, seq=held[name].seq + 1)
        match random.choice(("register", "update", "update", "update", "jump")):
            case "register":
                registrar.send(MsgCommit(commitment(name, b"salt", record.owner), address(by)), by=by)
                registrar.blocks(1)
                done = registrar.send(registrar.reveal(record, key, by=by), by=by)
                before, signer = held.get(name), key.public
                if not done.code:
                    assert signer == record.owner
                    assert before is None or now_s + 30 >= before.not_after_s + TERMS.grace_s
            case "update":
                done = registrar.send(registrar.update(record, key, by=by), by=by)
                if not done.code:
                    assert key.public == held[name].owner
                    assert not held[name].flags & REVOKED
            case "jump":
                registrar.jump(random.choice((3, 100, 400)))
                continue
        if not done.code:
            assert record.seq == (held[name].seq if name in held else 0) + 1
            held[name] = record
        store = chain.state.stores[STORE]
        assert {each: store.get(key_of(each)) for each in held} == {each: held[each].encode() for each in held}
        leases = [Lease.decode(raw) for _, raw in store.iterate(f"{PREFIX}lease/".encode())]
        context = chain.app.context(chain.state.stores, chain.moment)
        assert chain.app.bank.balance(context, ACCOUNT, "stake") == sum(lease.deposit for lease in leases)
        assert sum(registrar.ticking.balances().values()) + sum(lease.deposit for lease in leases) == 3_000_000


@settings(max_examples=20)
@given(st.integers(0, 1 << 32))
def test_no_lie_makes_a_resolver_believe_what_the_registry_never_held(seed: int) -> None:
    """What comes out was true in a block that the client verified, is young enough, and never goes back."""
    random, registrar, watcher = Random(seed), Registrar(zones=(replace(ZONE, ttl_s=100_000),)), Watcher()
    registrar.register(chain_record("a.cosmos", ttl_s=random.choice((60, 6000))))
    root = watcher.follow(registrar)
    resolver = Resolver(watcher.clients, {"cosmos": (root,)}, {}, Cache(), 10**15)
    known, last = [registrar.height], dict.fromkeys(SUBJECTS, 0)  # heights that the client has verified
    for _ in range(12):
        if random.random() < 0.3:
            raw = registrar.ticking.chain.state.stores[STORE].get(key_of("a.cosmos"))
            assert raw is not None
            held, ttl_s = Record.decode(raw), random.choice((1, 6000))
            registrar.do(registrar.update(replace(held, seq=held.seq + 1, ttl_s=ttl_s)))
        if random.random() < 0.3:
            registrar.jump(random.choice((1, 50)))
        if random.random() < 0.7 and registrar.height > watcher.latest[root.client]:
            watcher.update(registrar, root.client)
            known.append(registrar.height)
        watcher.now_ns += random.choice((0, 1, 40)) * SECOND_NS
        name = random.choice(SUBJECTS)
        try:
            resolution = Resolution(resolver, name, watcher.context())
            while resolution.ask is not None:
                height = random.choice((*known, registrar.height))
                told = lie(random, registrar, resolution.ask.name, height)
                resolution.answer(watcher.context(), told)
        except Refused:
            continue
        assert resolution.outcome is not None
        proof = resolution.outcome.proofs[-1]
        truth = registrar.answer(name, proof.height.revision_height)
        assert (proof.name, proof.record) == (name, truth.record)
        found = resolution.outcome.record
        seq = 0 if found is None else found.seq
        assert seq >= last[name]
        last[name] = seq
        block = registrar.ticking.chain.ledger[proof.height.revision_height].block
        if found is not None:
            assert watcher.now_ns - block.time_ns <= found.ttl_s * SECOND_NS


def lie(random: Random, registrar: Registrar, name: str, height: int) -> NameProof:
    """The truth of some height, or something in its place."""
    truth = registrar.answer(name, height)
    match random.randrange(8):
        case 0:
            return replace(truth, record=b"")
        case 1:
            return replace(truth, record=chain_record(name, seq=9).encode())
        case 2:
            return replace(registrar.answer(random.choice(SUBJECTS), height), name=name)
        case 3:
            at = random.randrange(len(truth.proof))
            return replace(truth, proof=truth.proof[:at] + bytes((truth.proof[at] ^ 1,)) + truth.proof[at + 1 :])
        case 4:
            return registrar.answer(random.choice(("cosmos", *SUBJECTS)), height)
        case _:
            return truth

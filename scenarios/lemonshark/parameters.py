"""What can be set of the scenario `lemonshark`: tables of its parameters.

Invariant: a parameter that another one makes meaningless is refused by the recipe, not ignored.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from emulator.model.tables import Table
from emulator.model.units import Duration, Rate, Size
from nodes.dagbft.byzantine import BEHAVIOURS
from topologies.link_keys import Probability, Queue


class Consensus(Table):
    """Which rules the validators follow."""

    protocol: Literal["lemonshark", "bullshark", "support-gated", "uncertified"] = "lemonshark"
    """"bullshark": results when they are committed. "lemonshark": the same, and results as soon as nothing can change
    them any more (our rules, after Lemonshark). "support-gated": another order with another early rule, which is not
    Lemonshark: blocks with too few children are dropped, and holes close in one round. "uncertified": after Mysticeti,
    no certificates and no early results, a commit takes three message delays; see `[uncertified]`."""
    rule: Annotated[str, Field(min_length=1)] = "asynchronous"
    """Which blocks lead, and when they are committed: Bullshark for asynchronous networks (with fallback leaders), for
    partially synchronous ones ("psync"), "shoal" (a leader every round), one that an installed package brings, or
    package.module:Class. See docs/adding-a-consensus-rule.md."""
    coin: Literal["seeded", "threshold"] = "seeded"
    """How fallback leaders are drawn: by hash of the seed, or by a threshold coin that nobody can foresee."""
    leaders: Literal["hashed", "round-robin"] = "hashed"
    """Steady leaders: drawn by hash of the seed, never the same one twice in a row, or in turn."""
    look_back: Annotated[int, Field(ge=2, le=1000)] = 6
    """Rounds below the leader before, that a leader may still order. Small values let early finality get past the
    blocks of crashed validators sooner, large ones wait longer for slow validators."""
    gc_depth: Annotated[int, Field(ge=10, le=1000)] = 58
    """Rounds below the last leader that are kept: `look_back` and 8 more at least."""
    leader_timeout_s: Duration = 1.0
    """The longest wait for a leader, or for votes on it."""
    grace_s: Duration = 0.1
    """After a quorum of blocks of a round: how long the others are waited for."""
    header_delay_s: Duration = 0.1
    """The longest wait for batches before a header is made."""
    batch_delay_s: Duration = 0.1
    """The longest wait of a transaction in its worker before its batch is sealed, where its primary does not ask for
    what waits: one that makes headers does before each."""
    batch_size_bytes: Size = 500e3
    """Size at which a batch is sealed before its header is due."""
    inline_size_bytes: Size = 2e3
    """What waits for a header, up to this size, goes inside it: no batch is made of it. 8192 bytes at most."""


class Uncertified(Table):
    """What `consensus.protocol = "uncertified"` has in place of the pace and the leaders of the others."""

    leader_slots: Annotated[int, Field(ge=1, le=100)] = 2
    """Leaders of a round; no more than there are validators."""
    least_round_s: Duration = 0.02
    """The least time between two blocks of a validator."""
    grace_s: Duration = 0.01
    """After a quorum of blocks of a round: how long the others are waited for."""


class Load(Table):
    """What the clients send: an open loop with Poisson arrivals."""

    rate: Annotated[float, Field(ge=0, le=1e6)] = 50.0
    """Transactions a second, of all clients together."""
    size_bytes: Size = 512.0
    """Size of a transaction."""
    start_s: Duration = 2.0
    """When clients begin: the validators have met by then."""
    drain_s: Duration = 5.0
    """How long before the end of the run they stop, so that what they sent can be answered."""
    conflict: Probability = 0.0
    """Share of transactions that write keys which others use too."""
    cross_shard: Probability = 0.0
    """Share of transactions that read keys of another shard (beta)."""
    gamma: Probability = 0.0
    """Share of transactions that write in two shards at once (gamma)."""
    chains: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Chains of dependent transactions that each client keeps going, beside the open loop."""
    chain_length: Annotated[int, Field(ge=1, le=10_000)] = 10
    """Links of a chain."""
    ahead: Annotated[int, Field(ge=1, le=1000)] = 8
    """Links of a chain that may be sent upon speculative results and wait to be confirmed."""
    confirm: Literal["none", "commit", "early"] = "early"
    """"none": no speculation, a link is sent when the one before is committed. "commit", "early": a link is sent upon
    the speculative result of the one before, and confirmed by its commit, or by its early result too."""


class Clients(Table):
    """What clients want of all validators, beside the answers of their own one. What is not wanted costs nothing."""

    proofs: bool = False
    """Whether clients collect proofs of finality: results that a quorum has signed. They are in
    `store/NODE/client.proofs` of the run folder; `python -m nodes.dagbft.client.verify FILE` checks them."""
    reads: Annotated[float, Field(ge=0, le=1e5)] = 0.0
    """Reads a second, of all clients together, of keys that the client has written lately."""
    freshness: Literal["committed", "early"] = "committed"
    """What reads see: what has been committed, or what is early-final too."""
    agree: Literal["correct", "quorum"] = "correct"
    """How many validators must give a read the same answer: f + 1, so that a correct one does, or n - f."""


class Faults(Table):
    """What goes wrong."""

    crash: Annotated[int, Field(ge=0)] = 0
    """Validators that crash, chosen by the seed."""
    at_s: Duration = 0.0
    """When they do; at 0 s they never take part."""
    restart_after_s: Duration = 0.0
    """After which they come back, with their disks; 0: they do not."""
    slow: Annotated[int, Field(ge=0)] = 0
    """Validators, others than those that crash, whose access links get slow for the whole run."""
    slow_by_s: Duration = 0.2
    """The delay that their access links get, each way. Certificates of a validator whose blocks always come after the
    others have gone on are in nobody's past: what its clients send is then not ordered."""
    byzantine: Annotated[int, Field(ge=0)] = 0
    """Validators, others again, that lie for the whole run."""
    behaviour: Literal[tuple(name for name in BEHAVIOURS if name != "honest")] = "equivocate"  # type: ignore[valid-type]
    """How they lie."""


class Links(Table):
    """What lies between validators, beside the map."""

    rate_bps: Rate = 1e9
    """Rate of each access link, each way (of a station's up- and downlink with `topology = "leo"`)."""
    queue: Queue = "200 ms"
    """Bound of the queue of each end: a time, bytes, or packets."""
    loss: Probability = 0.0
    """Chance of loss per packet between two sites, or per access link with `topology = "leo"`."""
    jitter_s: Duration = 0.0
    """Mean of what is added to the delay between two sites, packet by packet; not with `topology = "leo"`."""
    local_s: Duration = 0.0005
    """One way, between two validators of one site; not with `topology = "leo"`."""


class Leo(Table):
    """The constellation of `topology = "leo"`."""

    shell: str = "starlink-1"
    """A known shell, as `shell.preset` of the scenario `leo`."""
    satellites: Annotated[int, Field(ge=0)] = 0
    """How many of the validators are satellites; the others are ground stations."""


class Window(Table):
    """The rounds of which the DAG is drawn."""

    first: Annotated[int, Field(ge=0)] = 0
    """The first of them; 0: around the middle of the run."""
    rounds: Annotated[int, Field(ge=1, le=40)] = 12
    """How many."""


def _default(table: type[Table]) -> Any:
    return Field(default_factory=lambda: table.model_validate({}))


class Parameters(Table):
    """What can be set of the scenario `lemonshark`."""

    validators: Annotated[int, Field(ge=4, le=100)] = 10
    """How many validators; each is a node with a primary, a worker and a client."""
    topology: Annotated[str, Field(min_length=1)] = "five-regions"
    """Where they are: "five-regions" (of AWS), "lan" (one site), "leo" (ground stations and satellites), or a CSV
    matrix of round trips between sites."""
    workers: Annotated[int, Field(ge=1, le=8)] = 1
    """Workers of each validator, among which its client deals its transactions."""
    colocated: bool = False
    """Whether a validator's primary, workers and client share one process, without sockets between them. Byzantine
    validators keep their processes."""
    durability: Literal["process", "disk"] = "process"
    """What votes, headers and batches survive before they are sent: the death of the process, or a power failure."""
    consensus: Consensus = _default(Consensus)
    """Which rules the validators follow."""
    uncertified: Uncertified = _default(Uncertified)
    """What validators without certificates have in place of that."""
    load: Load = _default(Load)
    """What the clients send."""
    clients: Clients = _default(Clients)
    """What clients want of all validators."""
    faults: Faults = _default(Faults)
    """What goes wrong."""
    network: Links = _default(Links)
    """What lies between validators."""
    leo: Leo = _default(Leo)
    """The constellation of `topology = "leo"`."""
    dag: Window = _default(Window)
    """The rounds of which the DAG is drawn."""

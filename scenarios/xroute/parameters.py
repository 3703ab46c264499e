"""What can be set of the scenario `xroute`: tables of its parameters.

Invariant: a parameter that another one makes meaningless is refused by the recipe, not ignored.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from emulator.model.tables import Table
from emulator.model.units import Duration

MOST_CHAINS = 20
MOST_RELAYERS = 20


class Load(Table):
    """Transfers of one coin from each chain to every other one in turn."""

    messages_per_s: Annotated[float, Field(gt=0, le=1e4)] = Field(3.0, alias="messages_per_s")
    """Messages a second of all chains together."""
    start_s: Duration = 18.0
    """When the load starts: by then relayers should have made the clients."""
    drain_s: Duration = 26.0
    """How long before the end of the run the load stops, and the audit begins to read the chains; in modes "quorum" and
    "zk-model" it stops earlier, by `challenge` or `prove`."""


class Faults(Table):
    """What goes wrong, once."""

    chains: Annotated[int, Field(ge=0)] = 0
    """Chains that it hits: the first ones."""
    kind: Literal["halt", "slow", "crash", "cut", "rate", "mempool", "churn", "clock"] = "halt"
    """What hits them. "halt": no block is made, but the RPC answers; "slow": blocks take ten times as long; "crash":
    the process is killed, and comes back with its disk; "cut": no packet passes to or from them. These last all the
    time: "rate": they answer a client 40 requests a second; "mempool": 2 transactions wait at most; "churn": 3 of 4
    validators are replaced each 5 blocks; "clock": theirs is 2 s ahead."""
    relayers: Annotated[int, Field(ge=0)] = 0
    """Relayers that are killed, and come back without any memory: the first ones."""
    apart: bool = False
    """Whether no packet passes between relayers."""
    at_s: Duration = 25.0
    """When."""
    length_s: Duration = 8.0
    """How long."""
    liars: Annotated[int, Field(ge=0)] = 0
    """Relayers, the last ones, that say two things of one client at that time, and lose their stakes."""
    attacks: bool = False
    """Another relayer, which forges: it tries to deliver messages of its own by false proofs, one for each attack."""


def _default(table: type[Table]) -> Any:
    return Field(default_factory=lambda: table.model_validate({}))


class Parameters(Table):
    """What can be set of the scenario `xroute`."""

    chains: Annotated[int, Field(ge=3, le=MOST_CHAINS)] = 6
    """How many chains: a-0-1 on node a-0, b-0-1 on b-0, and so on, in five regions of a cloud in turn."""
    relayers: Annotated[int, Field(ge=1, le=MOST_RELAYERS)] = 2
    """How many relayers: each reads all chains and could carry all messages; for each pair of chains one begins. They
    share what is to be opened, and tell each other what they measure."""
    turn_s: Annotated[Duration, Field(ge=0)] = 10.0
    """How long a relayer leaves messages to the one whose turn comes before its own. 0: all of them compete."""
    neighbours: Literal[2, 4] | None = None
    """Chains that each chain has clients of, in the mesh. 2: a ring; 4: a ring with chords a third of it long. Without
    it 4 from six chains on."""
    weak: Annotated[int, Field(ge=0)] = 1
    """Chains, the last ones, with one validator that has nearly all power: their Nakamoto coefficient is 1, so the
    policy below excludes them as transits."""
    mode: Literal["e2e", "hop", "quorum", "zk-model"] = "e2e"
    """How the destination is convinced. In "hop" the sender names the transits: a shortest way without weak ones. In
    "quorum" two relayers or more sign, and may be contradicted for the time of `challenge`. "zk-model" is a model of
    succinct proofs: it proves nothing, and making an object takes `prove`."""
    baseline: Literal["none", "hub", "direct", "forward"] = "hub"
    """What runs beside it: as many chains, relayers, limits and messages, on nodes of their own ("hub-a-0" …). "hub":
    clients between the first chain and each other one alone, and mode "hop" through it. "direct": the same mesh, but
    each chain sends only to those that it has clients of. "forward": over the mesh by ways that the sender chose, from
    chain to chain, and no policy: what forwarding by memo does."""
    policy: str = "xroute/1; require each transit nakamoto >= 2; limit hops 5; prefer hops, spread"
    """What routes have to satisfy: see `skyloom route check`."""
    names: bool = False
    """Whether a registry, a chain of its own, keeps names of the chains ("a.mesh"), which their owners register at
    first and renew halfway through the load. The policy then also keeps off weak chains by their names; yours may have
    names, too, beside a `baseline` of "none" or "forward". In mode "e2e" alone."""
    block_s: Annotated[Duration, Field(gt=0)] = 1.0
    """Time between two blocks of a chain."""
    block_gas: Annotated[int, Field(ge=-1)] = 500_000
    """The gas that transactions of a block may ask for together: for deliveries, proofs, updates of clients, what they
    write. -1: no limit."""
    stake: Annotated[int, Field(ge=0, le=10**6)] = 1000
    """What each relayer bonds on each chain: its word counts by that, and mode "quorum" needs it."""
    challenge_s: Annotated[Duration, Field(gt=0)] = 12.0
    """In mode "quorum", how long a delivery waits for a contradiction: a proof over a few hops takes some 10 blocks."""
    prove_s: Annotated[Duration, Field(gt=0)] = 5.0
    """In mode "zk-model", how long the model takes to make an object in place of a proof."""
    load: Load = _default(Load)
    """What is sent."""
    faults: Faults = _default(Faults)
    """What goes wrong."""

"""Route proofs of mode e2e: bytes, and the time that a chain takes to verify one. No signature is in what is timed.

python -m benchmarks xroute_proof [KEYS]     by default 10,000 other keys in each chain's store of IBC

`warm`: the chain knows the policy and the validator sets; `cold`: the proof brings both, with sets of four validators.
Milliseconds of processor time, the least of several rounds: decoding of the proof, and all checks of the route.
"""

from __future__ import annotations

import sys
from random import Random

from benchmarks.ibc_proofs import cost_ms, key_of
from nodes.xroute.policy.parser import parse
from nodes.xroute.proofs.names import NoNames
from nodes.xroute.proofs.verify import Demand, decoded, verify_route
from tests.support.xroute_world import World

LINE = (("a", "b"), ("b", "c"), ("c", "d"), ("d", "e"))
POLICY = (
    "xroute/1; require each chain nakamoto >= 2; require each hop client_type in {tendermint}; "
    "require each hop freshness <= 600s; require each transit transit_ok = true; limit hops 4"
)


def fill(world: World, keys: int) -> None:
    """Give the chains' stores of IBC the size that they have after so many packets."""
    random = Random("benchmarks/xroute_proof")
    for node in world.nodes.values():
        for at in range(keys):
            node.chain.state.stores["ibc"].set(key_of(at), random.randbytes(32))
        node.blocks(1)


def row(world: World, route: str) -> None:
    policy = parse(POLICY)
    destination, source = world[route[0]], route[-1]
    first = world.send(source, route[0], policy=POLICY)
    cold = world.proof(route, first.packet, first.commitment_key, policy=policy.encode(), with_validators=True)
    delivered = world.deliver(route, first, policy=policy.encode())
    if delivered.code:
        sys.exit(f"xroute_proof: {delivered.log}")
    parcel = world.send(source, route[0], policy=POLICY)
    data = world.proof(route, parcel.packet, parcel.commitment_key).encode()
    context = destination.context()
    key, value = parcel.committed(())
    demand = Demand.of(parcel, parcel.source, key, value, policy)
    decoding = cost_ms(lambda: decoded(data))
    both = cost_ms(lambda: verify_route(context, decoded(data), demand, NoNames()))
    sizes = f"{len(cold.encode()):9,} {len(data):9,}"
    print(f"{len(route) - 1:4} {sizes} {decoding:9.2f} {both - decoding:9.2f} {both:9.2f}")


def main() -> None:
    keys = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    world = World(LINE)
    fill(world, keys)
    print(f"{keys:,} keys in each store of IBC; IAVL trees\n")
    print("hops  cold (B)  warm (B)  decode ms  check ms  together")
    for route in ("ba", "cba", "dcba", "edcba"):
        row(world, route)


if __name__ == "__main__":
    main()

"""IBC: a light client's update over a gap of heights, with as many validators as a large chain has.

`python -m benchmarks ibc [--validators N] [--runs N]`. Each run is a new client with nothing remembered; `again` is a
second client of the same chain, which shares the signatures that the first one verified.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

from nodes.ibc.client.keeper import Clients
from nodes.ibc.comet import light
from nodes.ibc.comet.commits import SignatureCache
from nodes.ibc.core.state import Context
from nodes.ibc.proofs.specs import TENDERMINT_SPEC
from nodes.ibc.proofs.store import ProvableStore
from nodes.ibc.proto.ibc import ClientState, Fraction, Header, Height
from nodes.ibc.proto.well_known import Any, Duration
from tests.support.light_chain import INTERVAL_NS, LightChain, time_ns

TARGET_MS = 15.0
TRUSTED, HEIGHT = 10, 110
PERIOD_NS = 10_000 * INTERVAL_NS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--validators", type=int, default=86)
    parser.add_argument("--runs", type=int, default=30)
    options = parser.parse_args()
    chain = LightChain(lambda height: range(options.validators))
    raw = Any.of(chain.update(TRUSTED, HEIGHT)).encode()
    print(f"a header {HEIGHT - TRUSTED} heights after the trusted one, {options.validators} validators of equal power, "
          f"{len(raw):,} bytes; ms of processor time, median and worst of {options.runs}")  # fmt: skip
    row("decode", options.runs, lambda: Any.decode(raw).opened_as(Header))
    trusted, block = chain.trusted(TRUSTED), chain.block(HEIGHT)
    policy = light.Policy(PERIOD_NS)

    def verify() -> None:
        light.verify(trusted, block.signed, block.validators, policy, time_ns(HEIGHT + 1), SignatureCache())

    row("verify", options.runs, verify)
    state = ClientState(
        chain.chain_id,
        Fraction(1, 3),
        Duration.of_ns(PERIOD_NS),
        Duration.of_ns(2 * PERIOD_NS),
        Duration.of_ns(INTERVAL_NS),
        latest_height=Height(1, TRUSTED),
        proof_specs=(TENDERMINT_SPEC,),
    )
    created = Any.of(state), Any.of(chain.consensus_state(TRUSTED))
    shared = SignatureCache()

    def update(cache: SignatureCache | None) -> Callable[[], None]:
        clients, context = (
            Clients(cache),
            Context("here-0", Height(0, 1), time_ns(HEIGHT + 1), {"ibc": ProvableStore()}),
        )
        name = clients.create(context, *created)
        return lambda: clients.update(context, name, Any.decode(raw))

    whole = row("update (decode, verify, store)", options.runs, *(update(None) for _ in range(options.runs)))
    update(shared)()
    row("update again", options.runs, *(update(shared) for _ in range(options.runs)))
    print(f"target {TARGET_MS:.0f} ms: {'met' if whole <= TARGET_MS else 'missed'}")


def row(what: str, runs: int, *calls: Callable[[], object]) -> float:
    """Processor time of each call once, or one call again and again; the median in ms."""
    times_ms = []
    for call in calls if len(calls) > 1 else calls * runs:
        began = time.process_time()
        call()
        times_ms.append((time.process_time() - began) * 1e3)
    print(f"{what:32} {median(times_ms):7.2f} {max(times_ms):7.2f}")
    return median(times_ms)


if __name__ == "__main__":
    main()

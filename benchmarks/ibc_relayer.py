"""IBC: what a packet costs two chains, what their answers to the relayer cost, and the relayer itself.

`python -m benchmarks ibc_relayer [--packets N]`. All in one process, without sockets and disks; a block a second, with
100 transfers each, IBC v2. Blocks after the last transfer count, too.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from typing import Any

from nodes.ibc.heap import collect_rarely
from tests.support.ibc_relayed import Node, World

PER_BLOCK = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packets", type=int, default=1000)
    options = parser.parse_args()
    spent_s: Counter[str] = Counter()

    class Measured(Node):
        """A chain that counts the processor time of its blocks and of its answers."""

        def block(self, now_ns: int) -> None:
            begin_s = time.process_time()
            super().block(now_ns)
            spent_s["blocks"] += time.process_time() - begin_s

        def call(self, call: Any) -> Any:
            begin_s = time.process_time()
            try:
                return super().call(call)
            finally:
                kind = type(call).__name__
                spent_s["transactions into the mempool" if kind == "Broadcast" else f"answers, {kind}"] += (
                    time.process_time() - begin_s
                )

    collect_rarely()  # as the processes do
    net = World({name: Measured(name) for name in ("a", "b")})
    net.start("relayer-1")
    net.until(net.is_open)
    here, _ = net.ends()
    spent_s.clear()
    sending_s = 0.0
    begin_s = time.process_time()
    for _ in range(options.packets // PER_BLOCK):
        sending_from_s = time.process_time()
        for _ in range(PER_BLOCK):
            net.nodes["a"].transfer(here, 1, "stake", net.now_ns, 600)
        sending_s += time.process_time() - sending_from_s
        net.step()
    net.relay_all()
    whole_s = time.process_time() - begin_s - sending_s
    spent_s["relayer, and the rest"] = whole_s - sum(spent_s.values())
    packets = options.packets // PER_BLOCK * PER_BLOCK
    print(f"{packets:,} packets, ms of processor time each; making and checking the transfers beside: "
          f"{1e3 * sending_s / packets:.2f}")  # fmt: skip
    for name, each_s in spent_s.most_common():
        print(f"{name:32}{1e3 * each_s / packets:8.2f}")


if __name__ == "__main__":
    main()

"""The command with pseudo-hosts that have clocks of their own: `python other_clocks.py OFFSETS run … --hosts N`.

OFFSETS are seconds by which the hosts' monotonic clocks are ahead of the lead's, as "0,5,-3": each host is in a
namespace of time of its own, which all its processes inherit. Nothing of the product knows of it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from emulator.cli import main
from emulator.fabric.kernel import syscalls
from emulator.runtime.cluster import pseudo_hosts

CLONE_NEWTIME = 0x00000080


def enter_time(offset_s: float) -> None:
    """Move this process, which must have one thread, into a namespace of time whose clock is so far ahead."""
    syscalls.unshare(CLONE_NEWTIME)
    whole_s = int(offset_s // 1)
    Path("/proc/self/timens_offsets").write_text(f"monotonic {whole_s} {round((offset_s - whole_s) * 1e9)}\n")
    namespace = os.open("/proc/self/ns/time_for_children", os.O_RDONLY)
    syscalls.setns(namespace, CLONE_NEWTIME)
    os.close(namespace)


class OtherClocks(pseudo_hosts.PseudoHosts):
    """Those with clocks of their own."""

    offsets_s: list[float]

    def enter(self, host: int) -> None:
        enter_time(self.offsets_s[host])


if __name__ == "__main__":
    OtherClocks.offsets_s = [float(text) for text in sys.argv.pop(1).split(",")]
    pseudo_hosts.PseudoHosts = OtherClocks  # type: ignore[misc]
    main()

"""Two namespaces joined by a veth pair, without an emulator: what the kernel alone gives, as a peer.

Invariant: both namespaces belong to child processes of this one, and go with them.
"""

from __future__ import annotations

import os
import signal
import subprocess

from emulator.fabric.kernel import syscalls

MTU = 1500
BURST_S = 2e-3  # that the token bucket may send at once


class Direct:
    """10.9.0.1 in `netns[0]`, 10.9.0.2 in `netns[1]`. `rate_bps`: what the kernel's token bucket lets through."""

    address = "10.9.0.2"

    def __init__(self, rate_bps: float | None = None, mtu: int = MTU) -> None:
        self._children = [_namespace() for _ in range(2)]
        self.netns = [os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC) for pid in self._children]
        far = self._children[1]
        self.trouble = self._run(0, f"ip link add v0 mtu {mtu} type veth peer name v1 mtu {mtu} netns {far}")
        for side in range(2):
            self.trouble += self._run(side, f"ip addr add 10.9.0.{side + 1}/24 dev v{side}")
            self.trouble += self._run(side, f"ip link set v{side} up")
        if rate_bps:
            burst = max(3000, int(rate_bps / 8 * BURST_S))
            shape = f"rate {rate_bps:.0f}bit burst {burst} latency 200ms"
            self.trouble += self._run(0, f"tc qdisc add dev v0 root tbf {shape}")

    def _run(self, side: int, command: str) -> str:
        with syscalls.inside(self.netns[side]):
            try:
                done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
            except OSError as error:
                return f"{command}: {error}; "
        return f"{command}: {done.stderr.strip()}; " if done.returncode else ""

    def close(self) -> None:
        for fd in self.netns:
            os.close(fd)
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _namespace() -> int:
    """A process that sleeps in a network namespace of its own."""
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        syscalls.unshare(syscalls.CLONE_NEWNET)
        os.close(tell)
        while True:
            signal.pause()
    os.close(tell)
    with open(told, "rb") as pipe:
        pipe.read()
    return pid

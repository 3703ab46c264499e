"""Help for tests of the fabric: run a function in a sandbox, and join the ports of a network by a plain wire."""

import os
import pickle
import select
import threading
import traceback

import pytest

from emulator.fabric import sandbox

needs_sandbox = pytest.mark.usefixtures("with_sandbox")


def in_sandbox(body, hosts=None, **options):
    """What `body` returns when it runs in a sandbox; what it raises fails the test."""
    read, write = os.pipe()

    def main():
        os.close(read)
        try:
            answer = (True, body())
        except BaseException:
            answer = (False, traceback.format_exc())
        with open(write, "wb") as pipe:
            pipe.write(pickle.dumps(answer))
        return 0

    pid = sandbox.spawn(main, hosts or {}, **options)
    os.close(write)
    with open(read, "rb") as pipe:
        raw = pipe.read()
    os.waitpid(pid, 0)
    assert raw, "the sandbox died without an answer"
    fine, answer = pickle.loads(raw)
    assert fine, answer
    return answer


class Wire:
    """Passes what is sent on an end to the port of the opposite end, at once."""

    def __init__(self, ports):
        self.ports = {port.end: port for port in ports}
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        with select.epoll() as epoll:
            by_fd = {port.fd: port for port in self.ports.values()}
            for fd in by_fd:
                epoll.register(fd, select.EPOLLIN)
            while not self.stopped.is_set():
                for fd, _ in epoll.poll(0.1):
                    try:
                        packet = os.read(fd, 70000)
                        os.write(self.ports[by_fd[fd].end ^ 1].fd, packet)
                    except OSError:
                        continue

    def stop(self):
        self.stopped.set()
        self.thread.join()

"""The process that asks, on a node, whether a program there is ready to serve.

Invariant: it ends with status 0 at the first success and never otherwise by itself; who started it sets the deadline.
One attempt takes at most ATTEMPT_S, and what it started is killed with it. Why attempts fail is printed: a line
whenever the reason changes.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException
from typing import Any

from emulator.sdk.node import Node

PERIOD_S = 0.1  # from the end of an attempt to the next
ATTEMPT_S = 5.0
OUTPUT_BYTES = 4096  # of a command, from the end, in which its last line is looked for


class ReadinessProbe(Node):
    """Tries until the program serves."""

    @dataclass
    class Config:
        """One of the three kinds of probe; the others are empty."""

        tcp: tuple[str, ...] = ()
        """Addresses, "host:port", any of which may accept a connection."""
        http: str = ""
        """A URL that must answer with a status of 200 to 399."""
        command: tuple[str, ...] = ()
        """A command that must exit with status 0."""

    config: Config

    async def run(self) -> None:
        last = ""
        while reason := await self._failure():
            if reason != last:
                sys.stdout.write(f"{reason}\n")
                sys.stdout.flush()
                last = reason
            await self.context.sleep(PERIOD_S)

    async def _failure(self) -> str:
        """Why an attempt failed, in one line; empty where it succeeded."""
        try:
            async with asyncio.timeout(ATTEMPT_S):
                if self.config.http:
                    return await asyncio.to_thread(http_failure, self.config.http)
                if self.config.command:
                    return await command_failure(self.config.command)
                return await tcp_failure(self.config.tcp)
        except TimeoutError:
            return f"no end within {ATTEMPT_S:g} s"


async def tcp_failure(addresses: tuple[str, ...]) -> str:
    """Why none of "host:port" accepts a TCP connection; empty where one does."""
    reasons = []
    for address in addresses:
        host, _, port = address.rpartition(":")
        try:
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        except OSError as error:
            reasons.append(f"{address}: {reason_of(error)}")
        else:
            writer.close()
            return ""
    return ", ".join(reasons)


def reason_of(error: BaseException | str) -> str:
    """An error in words, without the number that Python puts before them."""
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number) if number is not None and number in errno.errorcode else str(error)


def http_failure(url: str) -> str:
    """Why a URL does not answer with a status of 200 to 399, or empty. Proxies of the environment are not asked."""
    context = ssl._create_unverified_context()  # of a program under test, which signs its own
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context), _NoRedirect
    )
    try:
        with opener.open(url, timeout=ATTEMPT_S) as answer:
            status = answer.status
    except urllib.error.HTTPError as error:
        status = error.code
    except urllib.error.URLError as error:
        return f"{url}: {reason_of(error.reason)}"
    except (OSError, ValueError, HTTPException) as error:
        return f"{url}: {error}"
    return "" if HTTPStatus.OK <= status < HTTPStatus.BAD_REQUEST else f"{url}: status {status}"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirection is an answer; where it leads is not asked."""

    def redirect_request(self, *_: Any) -> None:
        return None


async def command_failure(command: tuple[str, ...]) -> str:
    """Why a command does not exit with status 0, with the last line that it printed; empty where it does.

    It is killed with all its group where it is not waited for.
    """
    with os.fdopen(os.memfd_create("output"), "rb") as output:  # no pipe, which a program left behind would hold open
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        except OSError as error:
            return f"{command[0]}: {error.strerror}"
        try:
            status = await process.wait()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        if status == 0:
            return ""
        output.seek(max(0, output.seek(0, os.SEEK_END) - OUTPUT_BYTES))
        lines = output.read().decode("utf-8", "replace").split("\n")
    said = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f"{command[0]} exited with status {status}" + (f": {said}" if said else "")

"""The process that asks, on a node, whether a program there is ready to serve.

Invariant: it ends with status 0 at the first success and never otherwise by itself; who started it sets the deadline.
One attempt takes at most ATTEMPT_S, and what it started is killed with it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from emulator.sdk.node import Node

PERIOD_S = 0.1  # from the end of an attempt to the next
ATTEMPT_S = 5.0


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
        while not await self._succeeds():
            await self.context.sleep(PERIOD_S)

    async def _succeeds(self) -> bool:
        try:
            async with asyncio.timeout(ATTEMPT_S):
                if self.config.http:
                    return await asyncio.to_thread(answers, self.config.http)
                if self.config.command:
                    return await exits_well(self.config.command)
                return await accepts(self.config.tcp)
        except TimeoutError:
            return False


async def accepts(addresses: tuple[str, ...]) -> bool:
    """Whether one of "host:port" accepts a TCP connection."""
    for address in addresses:
        host, _, port = address.rpartition(":")
        with suppress(OSError):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
            writer.close()
            return True
    return False


def answers(url: str) -> bool:
    """Whether a URL answers with a status of 200 to 399. Proxies of the environment are not asked."""
    context = ssl._create_unverified_context()  # of a program under test, which signs its own
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context), _NoRedirect
    )
    try:
        with opener.open(url, timeout=ATTEMPT_S) as answer:
            return bool(HTTPStatus.OK <= answer.status < HTTPStatus.BAD_REQUEST)
    except urllib.error.HTTPError as error:
        return error.code < HTTPStatus.BAD_REQUEST
    except (OSError, ValueError):
        return False


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirection is an answer; where it leads is not asked."""

    def redirect_request(self, *_: Any) -> None:
        return None


async def exits_well(command: tuple[str, ...]) -> bool:
    """Whether a command exits with status 0. It is killed with all its group where it is not waited for."""
    null = asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=null, stdout=null, stderr=null, start_new_session=True
        )
    except OSError:
        return False
    try:
        return await process.wait() == 0
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

"""Accounts: the numbers that the user of an image stands for.

Source: the `config.User` property of the OCI image specification, and Docker's reading of it: a name or a number, and
after a colon a group; without a group it is the account's own, and then the account's further groups count.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from emulator.fabric.image.errors import ImageError
from emulator.fabric.image.tree import Tree

_BYTES = 1 << 20  # of /etc/passwd and of /etc/group that are read
_HIGHEST = (1 << 32) - 2  # 2^32 - 1 means "leave it" to chown and setuid


@dataclass(frozen=True, slots=True)
class Account:
    """Numbers of user, group and further groups; `home` is "/" where the image's /etc/passwd does not know the user."""

    user: int = 0
    group: int = 0
    groups: tuple[int, ...] = ()
    home: str = "/"


def account_of(root: Path, user: str, where: str = "") -> Account:
    """The account of `user` ("", "1000", "web", "web:www", "1000:1000") in the image unpacked at `root`.

    Raises ImageError, with `where` for the image, for a name that its /etc/passwd or /etc/group does not hold.
    """
    name, _, group = user.partition(":")
    name = name or "0"
    account = next((row for row in _rows(root, "passwd", 7) if name in (row[0], row[2])), None)
    number = _number(account[2] if account else name)
    if number is None:
        raise _unknown(where or str(root), "user", name, "passwd")
    home = account[5] if account and account[5] else "/"
    if group:
        found = next((_number(row[2]) for row in _rows(root, "group", 4) if row[0] == group), _number(group))
        if found is None:
            raise _unknown(where or str(root), "group", group, "group")
        return Account(number, found, (), home)
    if account is None:
        return Account(number)
    further = {int(row[2]) for row in _rows(root, "group", 4) if account[0] in row[3].split(",")}
    return Account(number, _number(account[3]) or 0, tuple(sorted(further)), home)


def _unknown(where: str, kind: str, name: str, file: str) -> ImageError:
    return ImageError(where, f"{kind} {name!r}", f"a number, or a name in /etc/{file} of the image")


def _rows(root: Path, file: str, fields: int) -> Iterator[list[str]]:
    """Lines of a file of /etc that have all their fields; none where there is no such file."""
    try:
        with Tree(root) as tree, tree.open_file(("etc", file)) as lines:
            text = lines.read(_BYTES).decode("utf-8", "surrogateescape")
    except OSError:
        return
    for line in text.splitlines():
        row = line.split(":")
        if len(row) == fields and _number(row[2]) is not None:
            yield row


def _number(text: str) -> int | None:
    """The number of a user or group that a text is, if it is one."""
    if text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= _HIGHEST:
        return int(text)
    return None

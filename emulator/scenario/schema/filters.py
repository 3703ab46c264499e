"""Capture filters: what an expression such as "host gs-tokyo and not port 8000" says, as a tree.

    filter = term ("or" term)…        term = factor ("and" factor)…
    factor = "not" factor | "(" filter ")" | test
    test   = host NAME|ADDRESS | port N | proto tcp|udp|icmp | node NAME | link NODE:PORT      (globs in names)

A tree is nested tuples: ("and", tree, tree), ("or", tree, tree), ("not", tree), and tests (kind, value). Invariant:
`text(parse(x))` parses to the same tree, and an expression that is refused is refused with the place and what may stand
there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from emulator.model.errors import Unfit

Tree = tuple[Any, ...]

TESTS = {
    "host": "the name or address of a node",
    "port": "a port of 0 to 65535",
    "proto": "tcp, udp or icmp",
    "node": "the name of a node",
    "link": "the name of a link end, 'node:port'",
}
PROTOCOLS = ("tcp", "udp", "icmp")
MOST_NESTED = 50
_TOKEN = re.compile(r"\s*([()]|[^\s()]+)")
_STARTS = f"{', '.join(TESTS)}, not or '('"


class _Parser:
    """One pass over the tokens."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = [(match.start(1), match[1]) for match in _TOKEN.finditer(text)]
        self._next = 0
        self._depth = 0

    def whole(self) -> Tree:
        tree = self._either()
        if self._next < len(self._tokens):
            raise self._wrong("and, or, or the end")
        return tree

    def _peek(self) -> str:
        return self._tokens[self._next][1] if self._next < len(self._tokens) else ""

    def _wrong(self, expected: str) -> ValueError:
        if self._next < len(self._tokens):
            at, token = self._tokens[self._next]
            return Unfit(f"{token!r} at character {at + 1} of {self._text!r}", expected)
        return Unfit(f"the end of {self._text!r}", expected)

    def _either(self) -> Tree:
        tree = self._both()
        while self._peek() == "or":
            self._next += 1
            tree = ("or", tree, self._both())
        return tree

    def _both(self) -> Tree:
        tree = self._factor()
        while self._peek() == "and":
            self._next += 1
            tree = ("and", tree, self._factor())
        return tree

    def _factor(self) -> Tree:
        token = self._peek()
        if token in ("not", "("):
            self._depth += 1
            if self._depth > MOST_NESTED:
                raise self._wrong(f"at most {MOST_NESTED} of 'not' and '(' within one another")
            self._next += 1
            tree = ("not", self._factor()) if token == "not" else self._either()
            if token == "(":
                if self._peek() != ")":
                    raise self._wrong("and, or, or ')'")
                self._next += 1
            self._depth -= 1
            return tree
        if token not in TESTS:
            raise self._wrong(_STARTS)
        self._next += 1
        return (token, self._value(token))

    def _value(self, kind: str) -> str | int:
        value = self._peek()
        if value in ("", "(", ")", "and", "or", "not"):
            raise self._wrong(TESTS[kind])
        if kind == "port" and not (re.fullmatch(r"\d{1,5}", value, re.ASCII) and int(value) < 1 << 16):
            raise self._wrong(TESTS[kind])
        if kind == "proto" and value not in PROTOCOLS:
            raise self._wrong(TESTS[kind])
        self._next += 1
        return int(value) if kind == "port" else value


def parse(text: str) -> Tree:
    """The tree of an expression. ValueError says where it goes wrong: "found at character N of …; expected …"."""
    return _Parser(text).whole()


def text(tree: Tree) -> str:
    """An expression of this tree, with a parenthesis around everything that is put together."""
    kind, *parts = tree
    if kind == "not":
        return f"not {text(parts[0])}"
    if kind in ("and", "or"):
        return f"({text(parts[0])} {kind} {text(parts[1])})"
    return f"{kind} {parts[0]}"


def tests(tree: Tree) -> Iterator[tuple[str, Any]]:
    """The tests of a tree: kind and value."""
    if tree[0] in ("and", "or", "not"):
        for part in tree[1:]:
            yield from tests(part)
    else:
        yield tree[0], tree[1]

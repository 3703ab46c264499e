"""Variables in values of compose files, and files of variables, as Compose reads both.

`$NAME`, `${NAME}`, `${NAME:-text}` where NAME is unset or empty, `${NAME-text}` where it is unset, `:+` and `+` for the
opposite, `:?` and `?` for an error; `$$` is a dollar sign. The text may hold variables itself.

Invariant: pure; texts of any length take time in proportion, and nesting is bounded.
"""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass, field

from emulator.model.errors import Unfit

MOST_NESTED = 10
MOST_CHARACTERS = 200_000  # of a text with its variables filled in

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r":?[-?+]")
_ASSIGNMENT = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*(?:=(.*))?", re.DOTALL)


@dataclass(slots=True)
class Variables:
    """Values by name; names that were asked for and had none are noted."""

    values: Mapping[str, str]
    missing: set[str] = field(default_factory=set)

    def fill(self, text: str) -> str:
        """The text with its variables filled in. ValueError: a malformed variable, or a `?` without a value."""
        if "$" not in text:
            return text
        return self._filled(text, 0, 0, False)[0]

    def _filled(self, text: str, at: int, depth: int, inside: bool) -> tuple[str, int]:
        """The filled text from `at` up to its end, or up to the brace that closes it."""
        if depth > MOST_NESTED:
            raise Unfit("variables nested too deep", f"at most {MOST_NESTED} levels")
        parts: list[str] = []
        while at < len(text):
            stop = re.compile(r"[$}]" if inside else r"\$").search(text, at)
            if not stop:
                break
            parts.append(text[at : stop.start()])
            at = stop.end()
            if stop[0] == "}":
                return self._joined(parts), at
            part, at = self._variable(text, at, depth)
            parts.append(part)
        if inside:
            raise Unfit("'${' without '}'", "${NAME} or ${NAME:-text}; $$ for a dollar sign")
        return self._joined([*parts, text[at:]]), len(text)

    def _joined(self, parts: list[str]) -> str:
        text = "".join(parts)
        if len(text) > MOST_CHARACTERS:
            raise Unfit("a text that grows too long", f"at most {MOST_CHARACTERS:,} characters")
        return text

    def _variable(self, text: str, at: int, depth: int) -> tuple[str, int]:
        """What stands for the variable after the dollar sign before `at`, and where it ends."""
        if text[at : at + 1] == "$":
            return "$", at + 1
        braced = text[at : at + 1] == "{"
        match = _NAME.match(text, at + braced)
        if not match:
            raise Unfit(f"{text[at - 1 : at + 20]!r}", "a name after '$'; $$ for a dollar sign")
        name, at = match[0], match.end()
        value = self.values.get(name)
        if not braced:
            return self._plain(name, value), at
        if text[at : at + 1] == "}":
            return self._plain(name, value), at + 1
        operator = _OPERATOR.match(text, at)
        if not operator:
            raise Unfit(
                f"'${{{text[match.start() : at + 10]}'", "${NAME}, ${NAME:-text}, ${NAME:?text} or ${NAME:+text}"
            )
        other, end = self._filled(text, operator.end(), depth + 1, True)
        given = value is not None and (bool(value) or operator[0][0] != ":")
        if operator[0][-1] == "+":
            return (other if given else ""), end
        if not given and operator[0][-1] == "?":
            raise Unfit(f"${name} has no value{f': {other}' if other else ''}", f"{name} in the environment or in .env")
        return (value or "" if given else other), end

    def _plain(self, name: str, value: str | None) -> str:
        if value is None:
            self.missing.add(name)
        return value or ""


def read_file(text: str, outer: Mapping[str, str]) -> tuple[dict[str, str | None], list[tuple[int, str]]]:
    """The variables of an env file in order (None: without a value, to be taken from `outer`), and what is malformed
    by line. Values may use variables of `outer` and of lines above, unless they stand in single quotes."""
    values: dict[str, str | None] = {}
    own: dict[str, str] = {}
    variables = Variables(ChainMap(own, dict(outer)))
    bad: list[tuple[int, str]] = []
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        match = _ASSIGNMENT.fullmatch(line)
        if not match:
            bad.append((number, f"{line[:40]!r}; expected NAME=value"))
            continue
        if match[2] is None:
            values[match[1]] = None
            continue
        try:
            values[match[1]] = own[match[1]] = _value(match[2].strip(), variables)
        except ValueError as error:
            bad.append((number, str(error)))
    return values, bad


def _value(text: str, variables: Variables) -> str:
    if text[:1] in ("'", '"'):
        end = text.find(text[0], 1)
        if end < 0 or text[end + 1 :].split("#")[0].strip():
            raise Unfit(f"{text[:40]!r}", "a value with its quotes closed")
        inner = text[1:end]
        return inner if text[0] == "'" else variables.fill(inner.replace("\\n", "\n"))
    return variables.fill(re.split(r"\s#", text, maxsplit=1)[0].rstrip())

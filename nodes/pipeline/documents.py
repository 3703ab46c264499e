"""Objects of JSON files, read field by field.

Invariant: a field that is read has the kind and the bounds that were asked for, and an object has no others; whatever
does not fit is `Unfit`, which names the place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from emulator.model.errors import Unfit


class Fields:
    """One object. Each field is taken once; `end` refuses what is left."""

    def __init__(self, value: Any, where: str = "") -> None:
        if not isinstance(value, Mapping):
            raise Unfit(f"{where or 'the document'} is {_shown(value)}", "an object")
        self._where = where
        self._left = dict(value)

    def text(self, key: str) -> str:
        value = self._taken(key)
        if not isinstance(value, str):
            raise Unfit(f"{self._place(key)} is {_shown(value)}", "text")
        return value

    def whole(self, key: str, least: int, most: int) -> int:
        value = self._taken(key)
        if type(value) is not int or not least <= value <= most:
            raise Unfit(f"{self._place(key)} is {_shown(value)}", f"a whole number, {least:,} to {most:,}")
        return value

    def number(self, key: str, most: float) -> float:
        """From 0 on."""
        return _number(self._taken(key), self._place(key), most)

    def numbers(self, key: str, count: int, most: float) -> tuple[float, ...]:
        """So many of them, each from 0 on."""
        values = self._list(key, count)
        if len(values) != count:
            raise Unfit(f"{self._place(key)} has {len(values)} numbers", f"{count}")
        return tuple(_number(value, f"{self._place(key)}[{at}]", most) for at, value in enumerate(values))

    def object(self, key: str) -> Fields:
        return Fields(self._taken(key), self._place(key))

    def objects(self, key: str, most: int) -> list[Fields]:
        return [Fields(value, f"{self._place(key)}[{at}]") for at, value in enumerate(self._list(key, most))]

    def end(self) -> None:
        """Unfit where the object has a field that was not read."""
        if self._left:
            raise Unfit(f"{self._place(next(iter(self._left)))}", "no field of that name")

    def _list(self, key: str, most: int) -> list[Any]:
        value = self._taken(key)
        if not isinstance(value, list) or len(value) > most:
            raise Unfit(f"{self._place(key)} is {_shown(value)}", f"a list of at most {most:,}")
        return value

    def _taken(self, key: str) -> Any:
        if key not in self._left:
            raise Unfit(f"{self._where or 'the document'} without `{key}`", "one")
        return self._left.pop(key)

    def _place(self, key: str) -> str:
        return f"{self._where}.{key}" if self._where else key


def _number(value: Any, where: str, most: float) -> float:
    if type(value) not in (int, float) or not 0 <= value <= most:
        raise Unfit(f"{where} is {_shown(value)}", f"a number, 0 to {most:g}")
    return float(value)


def _shown(value: Any) -> str:
    return json.dumps(value)[:60]

"""Input files: what people give to commands and scenarios, read up to a bound, and JSON that means one thing only.

Invariant: no more than the bound is ever read, so that a file without an end (`/dev/zero`) is refused like one that is
too large.
"""

from __future__ import annotations

import errno
import json
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emulator.model.errors import Unfit

MOST_BYTES = 50_000_000


def read_bytes(path: str | Path, most_bytes: int = MOST_BYTES) -> bytes:
    """All of a file. OSError where it cannot be read or has more than `most_bytes`, with words in `strerror`."""
    try:
        with open(path, "rb") as file:
            data = file.read(most_bytes + 1)
    except ValueError:
        raise OSError(errno.EINVAL, "a null character in its name", repr(str(path))) from None
    if len(data) > most_bytes:
        raise OSError(errno.EFBIG, f"more than {most_bytes:,} bytes, the most that is read", str(path))
    return data


def read_text(path: str | Path, most_bytes: int = MOST_BYTES, encoding: str = "utf-8", errors: str = "strict") -> str:
    """The text of a file, with the line ends of every system as "\\n". OSError as above, UnicodeDecodeError."""
    text = read_bytes(path, most_bytes).decode(encoding, errors)
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def parse_json(text: str) -> Any:
    """A JSON document of a person. ValueError says what is wrong: no JSON, a key twice, a number that JSON has not.

    Python's parser would take the last of two equal keys, NaN and Infinity.
    """
    try:
        return json.loads(text, object_pairs_hook=_each_key_once, parse_constant=_no_number)
    except _Refused:
        raise
    except json.JSONDecodeError as error:
        raise Unfit(f"line {error.lineno}, character {error.colno}: {error.msg}", "JSON") from None
    except ValueError:  # Python refuses to convert what takes it quadratic time
        most = sys.get_int_max_str_digits()
        raise Unfit(f"a number of more than {most} digits", "JSON with shorter ones") from None
    except RecursionError:
        raise Unfit("values nested too deep", "JSON") from None


class _Refused(Unfit):
    """What Python's parser would accept."""


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        twice = next(key for key, count in counts.items() if count > 1)
        raise _Refused(f"key {json.dumps(twice)[:60]} stands twice in one object", "each key once")
    return table


def _no_number(text: str) -> float:
    raise _Refused(text, "numbers that JSON has")


def check_kinds(found: Mapping[str, Any], samples: Mapping[str, Any]) -> None:
    """ValueError where a value of a document is of another kind than the sample of its key; a sample None is of any.

    A list or an object in `samples` stands for lists, or objects, of such elements: `{"rows": [{}], "ms": {"": 0.0}}`.
    Numbers and None go together: what is not known of a number is null.
    """
    for key, sample in samples.items():
        if key in found:
            _check_kind(found[key], sample, key)


def _check_kind(value: Any, sample: Any, at: str) -> None:
    if sample is None or (value is None and isinstance(sample, float)):
        return
    number = isinstance(sample, float) and isinstance(value, int | float) and not isinstance(value, bool)
    if not number and type(value) is not type(sample):
        raise Unfit(f"{at} is {json.dumps(value)[:40]}", f"{_KINDS[type(sample)]}")
    inner = list(sample.values()) if isinstance(sample, dict) else sample if isinstance(sample, list) else []
    for key, item in (value.items() if isinstance(value, dict) else enumerate(value)) if inner else ():
        _check_kind(item, inner[0], f"{at}.{key}")


_KINDS = {
    dict: "an object",
    list: "a list",
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
}

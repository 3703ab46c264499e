"""Writes the engine's C headers of memory layouts, from the descriptions that Python uses itself.

`structures.h` is made from `structures.py`, `row_columns.h` from `emulator/schedule/row_layout.py`. Both are kept with
the sources, so that a build needs only a compiler; a test compares them. After a change of a description:
`python -m emulator.link.engine.header`.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum, IntFlag
from inspect import cleandoc
from pathlib import Path
from textwrap import wrap

from emulator.link.engine import structures
from emulator.link.engine.described import Described, Member
from emulator.link.engine.structures import CONSTANTS, STRUCTURES, field_of_column
from emulator.schedule.row_layout import COLUMNS, Column

FOLDER = Path(__file__).parent
WIDTH = 120
ENUMERATIONS: dict[str, type[IntEnum | IntFlag]] = {  # by the prefix of their names in C
    "END_": structures.EndFlag,
    "SENT_": structures.Sent,
    "RECEIVED_": structures.Received,
    "CAUSE_": structures.Cause,
    "RECORD_": structures.Record,
    "ORDER_": structures.OrderKind,
    "VALUE_": structures.Value,
}
HEXADECIMAL = ("TAP_MAGIC",)
MADE = "Made of {} by `python -m emulator.link.engine.header`: change that one."


def headers() -> dict[str, str]:
    """The text of each header, by its name."""
    return {"structures.h": structures_header(), "row_columns.h": columns_header()}


def structures_header() -> str:
    lines = [
        *_comment("What Python and the engine share: constants and structures.", MADE.format("structures.py")),
        "#ifndef SKYLOOM_ENGINE_STRUCTURES_H", "#define SKYLOOM_ENGINE_STRUCTURES_H", "", "#include <stddef.h>",
        "#include <stdint.h>", "",
    ]  # fmt: skip
    lines += [f"#define {name} {value:#x}u" if name in HEXADECIMAL else f"#define {name} {value}"
              for name, value in CONSTANTS.items()]  # fmt: skip
    for prefix, enumeration in ENUMERATIONS.items():
        lines += ["", *_comment(_meaning(enumeration)), *_enumeration(prefix, enumeration)]
    for name, structure in STRUCTURES.items():
        lines += ["", *_comment(_meaning(structure)), "typedef struct {"]
        for member in structure.members:
            lines += _member(member)
        lines += [f"}} {name};"]
    lines += ["", *_comment("The fields of each structure, for layout.c.")]
    for name, structure in STRUCTURES.items():
        lines += _define(f"{name.upper()}(F)", [f"F({field[0]})" for field in structure._fields_])
    return "\n".join([*lines, "", "#endif", ""])


def columns_header() -> str:
    lines = [
        *_comment(
            "How the engine reads a row of the schedule: functions that give an element of a column. `row` is the "
            "begin of a slot. A column of two sizes, such as [D x N], has the element (d, n) at place d * N + n. "
            "E: ends, D: destinations, N: nodes, F: ends with substep tables, K: knots of each.",
            MADE.format("emulator/schedule/row_layout.py"),
        ),
        "#ifndef SKYLOOM_ENGINE_ROW_COLUMNS_H", "#define SKYLOOM_ENGINE_ROW_COLUMNS_H", "", "#include <string.h>", "",
        '#include "structures.h"',
    ]  # fmt: skip
    for column in COLUMNS:
        if column.c_type and column.name != "head":  # the sequence counter is read in its own way (`shown`)
            lines += ["", *_reader(column)]
    return "\n".join([*lines, "", "#endif", ""])


def _reader(column: Column) -> list[str]:
    """A function that reads one element: by memcpy, for nothing says that the compiler may take it for an array."""
    field = field_of_column(column.name)
    name = field.replace("at_", "row_", 1)
    shape = " x ".join(column.shape)
    return [
        *_comment(f"[{shape}] {column.meaning}".rstrip()),
        f"static inline {column.c_type} {name}(const engine_config *c, const uint8_t *row, int64_t place)",
        "{",
        f"    {column.c_type} value;",
        f"    memcpy(&value, row + c->{field} + (int64_t)sizeof value * place, sizeof value);",
        "    return value;",
        "}",
    ]


def _meaning(described: type[Described] | type[IntEnum | IntFlag]) -> str:
    return " ".join(cleandoc(described.__doc__ or "").split())


def _comment(*paragraphs: str) -> list[str]:
    lines = [line for text in paragraphs for line in wrap(text, WIDTH - 6, break_on_hyphens=False)]
    return [f"{' * ' if number else '/* '}{line}" for number, line in enumerate(lines[:-1])] + [
        f"{' * ' if len(lines) > 1 else '/* '}{lines[-1]} */"
    ]


def _enumeration(prefix: str, enumeration: type[IntEnum | IntFlag]) -> list[str]:
    entries = [f"    {prefix}{entry.name} = {int(entry)}" for entry in enumeration]
    return ["enum {", *(f"{entry}," for entry in entries[:-1]), entries[-1], "};"]


def _member(member: Member) -> list[str]:
    kind, star = (member.c_type.rstrip(" *"), "*") if member.c_type.endswith("*") else (member.c_type, "")
    declaration = wrap(f"{kind} {', '.join(star + name for name in member.names.split())};", WIDTH - 8)
    comment = f" /* {member.meaning} */" if member.meaning else ""
    if len(declaration) == 1 and len(declaration[0] + comment) <= WIDTH - 4:
        return [f"    {declaration[0]}{comment}"]
    above = _comment(member.meaning) if member.meaning else []
    return [f"    {line}" for line in (*above, declaration[0], *(f"    {line}" for line in declaration[1:]))]


def _define(name: str, parts: Iterable[str]) -> list[str]:
    lines = wrap(" ".join(parts), WIDTH - 6, initial_indent="    ", subsequent_indent="    ")
    return [f"#define {name} \\", *(f"{line} \\" for line in lines[:-1]), lines[-1]]


if __name__ == "__main__":
    for name, text in headers().items():
        (FOLDER / name).write_text(text)

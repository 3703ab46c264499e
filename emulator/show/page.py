"""One self-contained HTML page: text, tables and inline drawings, without scripts and without the network.

Invariant: whatever is handed in as text is escaped here and nowhere else; a content security policy in the page forbids
all that it does not hold itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

STYLE = """
:root { color-scheme: light; --good: #00684a; --bad: #a11d00; --warn: #7a5200; --dim: #5c5c5c; --line: #d9d9d9; }
body { font: 15px/1.5 system-ui, "DejaVu Sans", Verdana, sans-serif; color: #262626; background: #fff;
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .3rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p { margin: .3rem 0; } .good { color: var(--good); } .bad { color: var(--bad); } .warn { color: var(--warn); }
.dim, figcaption, th { color: var(--dim); } .scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th { font-weight: normal; text-align: left; } th, td { padding: .15rem 1.2rem .15rem 0; vertical-align: top; }
tr { border-bottom: 1px solid var(--line); } td.number { text-align: right; white-space: nowrap; }
figure { margin: 1rem 0 2rem; } figure svg { max-width: 100%; height: auto; }
code { font-family: ui-monospace, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
@media print { body { margin: 0; max-width: none; } figure, tr { break-inside: avoid; } }
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table with a class of the style: good, bad, warn, dim."""

    text: str
    kind: str


Row = Sequence[str | Cell]


def page(title: str, parts: Iterable[str]) -> str:
    """The whole document."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style></head><body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def heading(text: str, level: int = 2, kind: str = "") -> str:
    """A heading."""
    return f"<h{level}{_class(kind)}>{escape(text)}</h{level}>"


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of plain text."""
    return f"<p{_class(kind)}>{escape(text)}</p>"


def table(header: Sequence[str], rows: Iterable[Row]) -> str:
    """A table; cells that begin with a digit or a sign before one stand to the right."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in header)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>\n" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></div>'


def figure(name: str, title: str, caption: str, svg: str) -> str:
    """A drawing with its title and caption; ids in the SVG get `name` before them, so that drawings do not mix."""
    svg = svg[svg.index("<svg") :]
    prefix = re.sub(r"[^\w-]", "-", name) + "-"
    svg = re.sub(r'(\bid="|url\(#|href="#)', lambda match: match[1] + prefix, svg)
    label = escape(title, quote=True)
    svg = svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
    return f"<figure>\n{heading(title)}{svg}<figcaption>{escape(caption)}</figcaption></figure>"


def _cell(cell: str | Cell) -> str:
    text, kind = (cell.text, cell.kind) if isinstance(cell, Cell) else (cell, "")
    classes = " ".join(filter(None, (kind, "number" if re.match(r"[+-]?\d", text) else "")))
    return f"<td{_class(classes)}>{escape(text)}</td>"


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""

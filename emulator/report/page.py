"""One self-contained HTML page: text, tables and inline drawings, without the network.

Invariant: whatever is handed in as text is escaped here and nowhere else; a content security policy in the page forbids
all that it does not hold itself, and lets one script run, by its hash.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from emulator.report.page_script import HASH, SCRIPT

STYLE = """
:root { color-scheme: light dark; --ink: #262626; --paper: #fff; --good: #00684a; --bad: #a11d00; --warn: #7a5200;
  --dim: #5c5c5c; --line: #d9d9d9; --link: #0058a3; }
@media screen and (prefers-color-scheme: dark) {
  :root { --ink: #e4e4e4; --paper: #191919; --good: #5cc99b; --bad: #ff9279; --warn: #e8b95a; --dim: #a8a8a8;
    --line: #404040; --link: #7fb8ef; }
  figure svg { filter: invert(.9) hue-rotate(180deg); } }
body { font: 15px/1.5 system-ui, "DejaVu Sans", Verdana, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .3rem; overflow-wrap: anywhere; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p { margin: .3rem 0; overflow-wrap: anywhere; } .good { color: var(--good); } .bad { color: var(--bad); }
.warn { color: var(--warn); } .dim, figcaption, th { color: var(--dim); }
a { color: var(--link); } nav a { margin-right: 1rem; display: inline-block; }
.scroll { overflow-x: auto; } .scroll.long { max-height: 32rem; overflow-y: auto; }
.long th { position: sticky; top: 0; background: var(--paper); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th { font-weight: normal; text-align: left; } th, td { padding: .15rem 1.2rem .15rem 0; vertical-align: top; }
th button { font: inherit; color: inherit; background: none; border: 0; padding: 0; cursor: pointer; text-align: left; }
th button:hover, th button:focus-visible { text-decoration: underline; }
th[aria-sort=ascending] button::after { content: " \\2191"; }
th[aria-sort=descending] button::after { content: " \\2193"; } th.number { text-align: right; }
tr { border-bottom: 1px solid var(--line); }
[data-name] td:first-child { white-space: nowrap; } td.number { text-align: right; white-space: nowrap; }
.tools input { font: inherit; width: 12rem; max-width: 60vw; }
figure { margin: 1rem 0 2rem; } figure svg { max-width: 100%; height: auto; }
code { font-family: ui-monospace, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
@media (max-width: 30rem) { body { margin-top: 1rem; } th, td { padding-right: .7rem; } }
@media print { body { margin: 0; max-width: none; } figure, tr { break-inside: avoid; } h2 { break-after: avoid; }
  .tools, nav { display: none; } .scroll, .scroll.long { max-height: none; overflow: visible; }
  table { font-size: 80%; } th, td { padding-right: .6rem; } }
"""
POLICY = f"default-src 'none'; style-src 'unsafe-inline'; script-src '{HASH}'; base-uri 'none'; form-action 'none'"
_RIGHT = re.compile(r"[+-]?\d|-?$|unlimited$|varies$|true$|false$")
LONG = 30  # rows past which a table scrolls by itself


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table: with a class of the style (good, bad, warn, dim), and with the exact value where the text is
    rounded. The page sorts by the exact value and gives it in CSV."""

    text: str
    kind: str = ""
    value: float | int | None = None


Row = Sequence[str | Cell]


def page(title: str, parts: Iterable[str]) -> str:
    """The whole document."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style></head><body>\n"
        + "\n".join(parts)
        + f"\n<script>{SCRIPT}</script></body></html>\n"
    )


def heading(text: str, level: int = 2, kind: str = "") -> str:
    """A heading; links lead to one of level 2 by `anchor(text)`."""
    known = f' id="{anchor(text)}"' if level == 2 else ""
    return f"<h{level}{known}{_class(kind)}>{escape(text)}</h{level}>"


def anchor(text: str) -> str:
    """The id of the heading with this text."""
    return "to-" + re.sub(r"\W+", "-", text.lower()).strip("-")


def contents(headings: Sequence[str]) -> str:
    """Links to headings of the page."""
    links = "".join(f'<a href="#{anchor(text)}">{escape(text)}</a>' for text in headings)
    return f"<nav>{links}</nav>"


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of plain text."""
    return f"<p{_class(kind)}>{escape(text)}</p>"


def command(text: str) -> str:
    """A line for a shell."""
    return f"<p><code>{escape(text)}</code></p>"


def block(lines: Iterable[str]) -> str:
    """Lines as they are written."""
    return f"<pre>{escape(chr(10).join(lines))}</pre>"


def table(header: Sequence[str], rows: Iterable[Row], name: str = "") -> str:
    """A table; columns stand to the right whose cells all begin with a digit or a sign before one, or have no value.

    With a `name` (of its CSV file) it can be sorted, filtered and downloaded.
    """
    cells = [[Cell(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
    columns = [[row[column].text for row in cells] for column in range(len(header))]
    right = [bool(texts) and all(map(_RIGHT.match, texts)) for texts in columns]
    lines = [f"<tr>{''.join(map(_cell, row, right))}</tr>\n" for row in cells]
    titles = zip(header, right, strict=True)
    head = "".join(f'<th scope="col"{_class("number" * at_right)}>{escape(title)}</th>' for title, at_right in titles)
    known = f' data-name="{escape(name, quote=True)}"' if name else ""
    label = escape(name or "table", quote=True)
    more = f' long" tabindex="0" role="region" aria-label="{label}' if len(lines) > LONG else ""
    return (
        f'<div class="scroll{more}"><table{known}><thead><tr>{head}</tr></thead>'
        f"<tbody>\n{''.join(lines)}</tbody></table></div>"
    )


def figure(name: str, title: str, caption: str, svg: str) -> str:
    """A drawing with its title and caption; ids in the SVG get `name` before them, so that drawings do not mix."""
    svg = svg[svg.index("<svg") :]
    prefix = re.sub(r"[^\w-]", "-", name) + "-"
    svg = re.sub(r'(\bid="|url\(#|href="#)', lambda match: match[1] + prefix, svg)
    label = escape(title, quote=True)
    svg = svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
    head = f"<h3>{escape(title)}</h3>" if title else ""
    return f"<figure>\n{head}{svg}<figcaption>{escape(caption)}</figcaption></figure>"


def _cell(one: Cell, right: bool) -> str:
    classes = " ".join(filter(None, (one.kind, "number" * right)))
    value = "" if one.value is None else f' data-value="{one.value!r}"'
    return f"<td{_class(classes)}{value}>{escape(one.text)}</td>"


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""

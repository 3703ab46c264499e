"""Our HTML page beside Jinja2's: the same document by the functions of `emulator.report.page` and by macros.

Both write the report of a large run: eleven headings, six tables (one of 400 rows as long as the events of a report),
ten drawings; the documents are checked to be equal. Prints processor time, and lines of functions and templates without
docstrings and blank lines; a typed function around each macro, which the callers would need, is not among them.
Needs `pip install jinja2`.

    python -m benchmarks page [--turns 20]
"""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from types import SimpleNamespace
from typing import Any

from emulator.report import page as ours
from emulator.report.page import Cell, Row

# -- what stands in for page.py: the template, and the Python that it needs --------------------------------------------
TEMPLATE = """\
{%- macro kind_of(kind) %}{% if kind %} class="{{ kind }}"{% endif %}{% endmacro %}
{%- macro heading(text, level=2, kind="") -%}
  <h{{ level }}{% if level == 2 %} id="{{ text | anchor }}"{% endif %}{{ kind_of(kind) }}>{{ text }}</h{{ level }}>
{%- endmacro %}
{%- macro contents(headings) -%}
  <nav>{% for text in headings %}<a href="#{{ text | anchor }}">{{ text }}</a>{% endfor %}</nav>
{%- endmacro %}
{%- macro paragraph(text, kind="") %}<p{{ kind_of(kind) }}>{{ text }}</p>{% endmacro %}
{%- macro command(text) %}<p><code>{{ text }}</code></p>{% endmacro %}
{%- macro block(lines) %}<pre>{{ lines | join("\n") }}</pre>{% endmacro %}
{%- macro table(header, rows, right, name="", long=False) -%}
  <div class="scroll{% if long %} long" tabindex="0" role="region" aria-label="{{ name or 'table' }}{% endif %}">
  {%- filter trim %}<table{% if name %} data-name="{{ name }}"{% endif %}><thead><tr>
  {%- for title in header %}<th scope="col"{{ kind_of("number" if right[loop.index0]) }}>{{ title }}</th>{% endfor -%}
  </tr></thead><tbody>{% endfilter %}
{% for row in rows %}<tr>
  {%- for cell in row -%}
    {% set at_right = right[loop.index0] -%}
    <td{% if cell.kind or at_right %} class="{{ cell.kind }}{{ " " if cell.kind and at_right }}
    {{- "number" if at_right }}"{% endif %}
    {%- if cell.value is not none %} data-value="{{ cell.value | exact }}"{% endif %}>{{ cell.text }}</td>
  {%- endfor %}</tr>
{% endfor %}</tbody></table></div>
{%- endmacro %}
{%- macro figure(title, caption, svg) -%}
  <figure>
{% if title %}<h3>{{ title }}</h3>{% endif %}{{ svg | safe }}<figcaption>{{ caption }}</figcaption></figure>
{%- endmacro %}
{%- macro page(title, parts, policy, style, script) -%}
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{{ policy | safe }}">
<meta name="viewport" content="width=device-width">
<title>{{ title }}</title>
<style>{{ style | safe }}</style></head><body>
{{ parts | join("\n") | safe }}
<script>{{ script | safe }}</script></body></html>
{% endmacro %}
"""


def macros() -> Any:
    from jinja2 import Environment

    environment = Environment(autoescape=True, trim_blocks=False, keep_trailing_newline=True)
    environment.filters |= {"anchor": ours.anchor, "exact": repr}
    return environment.from_string(TEMPLATE).module


def jinja2_functions() -> SimpleNamespace:
    """The functions of page.py with the same arguments."""
    made = macros()

    def table(header: Sequence[str], rows: Iterable[Row], name: str = "") -> str:
        cells = [[Cell(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
        columns = [[row[column].text for row in cells] for column in range(len(header))]
        right = [bool(texts) and all(map(ours._RIGHT.match, texts)) for texts in columns]
        return str(made.table(header, cells, right, name, len(cells) > ours.LONG))

    def figure(name: str, title: str, caption: str, svg: str) -> str:
        svg = svg[svg.index("<svg") :]
        prefix = re.sub(r"[^\w-]", "-", name) + "-"
        svg = re.sub(r'(\bid="|url\(#|href="#)', lambda match: match[1] + prefix, svg)
        svg = svg.replace("<svg", f'<svg role="img" aria-label="{title}"', 1)
        return str(made.figure(title, caption, svg))

    def page(title: str, parts: Iterable[str]) -> str:
        return str(made.page(title, list(parts), ours.POLICY, ours.STYLE, ours.SCRIPT))

    return SimpleNamespace(**{**vars(made), "table": table, "figure": figure, "page": page})


# ----------------------------------------------------------------------------------------------------------------------


def document(by: Any) -> str:
    """A report, with each thing that a page can hold."""
    svg = '<svg width="9"><defs><path id="a"/></defs>' + '<use href="#a" x="1.25" y="2.5"/>' * 400 + "</svg>"
    titles = [f"Part {number} <&>" for number in range(10)]
    parts = [str(by.heading("PASS  leo", 1, "good")), str(by.contents(titles))]
    for number, title in enumerate(titles):
        parts += [str(by.heading(title)), str(by.paragraph(f"seed {number} & more", "dim"))]
        rows: list[Row] = [
            [Cell(f"{at / 7:.6f}", "", at / 7), f"n{at}", "probe", Cell("late", "warn"), '{"rtt_ms": 24.5}']
            for at in range(400 if number == 0 else 40)
        ]
        if number < 6:
            parts.append(by.table(["t in s", "node", "program", "kind", "data"], rows, f"table{number}"))
        parts.append(by.figure(f"drawing {number}", title.replace("<&>", ""), "what it shows", svg))
    parts += [str(by.command("skyloom run leo --seed 1")), str(by.block(["a < b", "c"]))]
    return str(by.page("leo", parts))


def spent_s(make: Callable[[], str], turns: int) -> float:
    found = []
    for _ in range(turns):
        begun = time.process_time()
        make()
        found.append(time.process_time() - begun)
    return statistics.median(found)


def code_lines(functions: Iterable[Callable[..., Any]]) -> int:
    """Lines of functions without docstrings and blank lines."""
    count = 0
    for function in functions:
        source = inspect.getsource(function)
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef) and (said := ast.get_docstring(node, clean=False)) is not None:
                source = source.replace(f'"""{said}"""', "")
        count += sum(bool(line.strip()) for line in source.splitlines())
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=20)
    options = parser.parse_args()
    try:
        begun = time.process_time()
        theirs = jinja2_functions()
        compiled_s = time.process_time() - begun
    except ImportError:
        sys.exit("Jinja2 is missing: pip install jinja2")
    written = document(theirs).replace("&#34;", "&quot;")  # MarkupSafe and the standard library spell it so
    for number, pair in enumerate(zip(document(ours).splitlines(), written.splitlines(), strict=True), 1):
        assert pair[0] == pair[1], f"line {number} differs: {pair}"
    ours_s, theirs_s = (spent_s(lambda by=by: document(by), options.turns) for by in (ours, theirs))
    template = sum(bool(line.strip()) for line in TEMPLATE.splitlines())
    functions = [each for each in vars(ours).values() if inspect.isfunction(each) and each.__module__ == ours.__name__]
    spent = {"ours_ms": ours_s * 1e3, "jinja2_ms": theirs_s * 1e3, "import_and_compile_ms": compiled_s * 1e3}
    rounded = {name: round(value, 2) for name, value in spent.items()}
    print(json.dumps({"what": "page", **rounded, "jinja2_to_ours": round(theirs_s / ours_s, 2)}))
    print(
        json.dumps(
            {
                "what": "lines",
                "ours": code_lines(functions),
                "jinja2": template + code_lines([macros, jinja2_functions]),
            }
        )
    )


if __name__ == "__main__":
    main()

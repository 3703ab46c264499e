"""The line index: the right line of every key, for all the ways that TOML has of writing one."""

from __future__ import annotations

import re
import tomllib

import pytest

from emulator.scenario.toml.spans import LineIndex, split_keys

# A comment `# > path` says which path its line must be found under (parts separated by blanks).
TEXT = '''\
# a comment with [brackets] and = signs
name = "x # no comment"      # > name
a.b."c d" = [1, 2,           # > a b c_d
  3, # ] not yet             # > a b c_d 2
  { k = 1, l = [ "]" ] },    # > a b c_d 3 l 0
]
text = """
multi [[x]] " "" \\"""
y = 1
"""
literal = \'\'\'
z = ''
\'\'\'
after = 1979-05-27 07:32:00  # > after
[ shell . "in ner" ]         # > shell in_ner
planes=72                    # > shell in_ner planes
[[program]]                  # > program 0
name=\'a\'                     # > program 0 name
[program.config]             # > program 0 config
x = 1                        # > program 0 config x
[[program]]                  # > program 1
config = { y = \'q\', z.w = 3 } # > program 1 config z w
[[program.sub]]              # > program 1 sub 0
k=1                          # > program 1 sub 0 k
[[program.sub]]              # > program 1 sub 1
k=[                          # > program 1 sub 1 k
  []                         # > program 1 sub 1 k 0
]
"quo\\"ted" = true            # > program 1 sub 1 quo"ted
'''


def marks(text: str) -> list[tuple[tuple[str | int, ...], int]]:
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if match := re.search(r"# > (.+)$", line):
            parts = [part.replace("c_d", "c d").replace("in_ner", "in ner") for part in match[1].split()]
            found.append((tuple(int(part) if part.isdigit() else part for part in parts), number))
    return found


@pytest.mark.parametrize(("path", "line"), marks(TEXT))
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_lines(path: tuple[str | int, ...], line: int, newline: str) -> None:
    text = TEXT.replace("\n", newline)
    tomllib.loads(text)
    index = LineIndex(text)
    assert index.has(path)
    assert index.line(path) == line


def test_the_text_is_valid_and_covers_every_leaf() -> None:
    index = LineIndex(TEXT)

    def walk(value: object, path: tuple[str | int, ...]) -> None:
        assert index.has(path), path
        if isinstance(value, dict):
            for key, item in value.items():
                walk(item, (*path, key))
        elif isinstance(value, list):
            for number, item in enumerate(value):
                walk(item, (*path, number))

    walk(tomllib.loads(TEXT), ())


def test_an_absent_key_is_where_its_table_is() -> None:
    index = LineIndex("a = 1\n\n[shell]\nplanes = 2\n")
    assert index.line(("shell", "altitude", "x")) == 3
    assert index.line(("nowhere",)) == 1


def test_key_paths_are_split_at_dots_outside_quotes() -> None:
    assert split_keys("program.probe.\"a.b\".'c.d'") == ["program", "probe", "a.b", "c.d"]


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", 'a."b', "a..b", 'a"b"'])
def test_broken_key_paths_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a key path"):
        split_keys(text)

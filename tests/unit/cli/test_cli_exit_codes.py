"""How commands end: documented codes, 70 for faults of ours, 0 where nobody reads, and nothing raw on a terminal."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from skyloom_command import SKYLOOM, skyloom

from emulator import cli
from emulator.model import errors
from emulator.model.errors import Problem, ScenarioError
from emulator.model.printable import aligned, one_line, printable
from emulator.scenario import build_topology, load

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "exit-codes.md").read_text()
CODES = {name: value for name, value in vars(errors).items() if name.startswith("EXIT_")}
EVIL = "\x1b]0;owned\x07\x9b31m\u202etxt"  # sets the title of a terminal, turns text


def rows(page: str) -> Iterator[list[str]]:
    for line in page.splitlines():
        if line.startswith("| ") and not line.startswith("|---"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def test_the_page_has_every_code() -> None:
    listed = {row[1].strip("`"): int(row[0]) for row in rows(PAGE) if row[0].isdecimal()}
    assert listed == CODES


def test_the_page_has_every_command() -> None:
    listed = {row[0].strip("`"): row[1] for row in rows(PAGE) if row[0].startswith("`")}
    assert listed.keys() == cli.COMMANDS.keys()
    for command, words in listed.items():
        found = {int(number) for number in re.findall(r"\b\d+\b", words.partition(";")[0])} - {128}
        assert found <= set(CODES.values()), command
        assert command == "exec" or {0, 64, 70} <= found, command
    assert "docs/exit-codes.md" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_a_fault_of_ours_ends_with_70(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise ZeroDivisionError(EVIL)

    module, function = cli.COMMANDS[command]
    monkeypatch.setattr(importlib.import_module(f"emulator.cli.{module}"), function, broken)
    monkeypatch.setattr(sys, "argv", ["skyloom", command])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == errors.EXIT_INTERNAL
    said = capsys.readouterr().err
    assert "ZeroDivisionError" in said
    assert "please report it" in said
    assert "\x1b" not in said


def test_a_command_that_ends_the_program_with_words_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def ends() -> None:
        sys.exit("words")

    monkeypatch.setattr(importlib.import_module("emulator.cli.doctor"), "doctor", ends)
    monkeypatch.setattr(sys, "argv", ["skyloom", "doctor"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == errors.EXIT_INTERNAL


@pytest.mark.parametrize(
    "words",
    [
        "--help", "--version", "list", "list --json", "list plurality", "schema", "plan plurality",
        "plan plurality --json", "algo", "algo rdaf decide --graph cycle:6 -a late --trace", "run --help",
    ],
)  # fmt: skip
def test_a_reader_who_has_gone_is_no_error(words: str) -> None:
    """Small output is written when the interpreter ends, large output (--json) while the command runs."""
    with subprocess.Popen([*SKYLOOM, *words.split()], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        said = process.stderr.read()
        assert process.wait(timeout=60) == 0
    assert b"Error" not in said
    assert b"Exception" not in said


def test_errors_that_nobody_reads_keep_their_code() -> None:
    with subprocess.Popen([*SKYLOOM, "run", "none"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        process.stderr.close()
        assert process.wait(timeout=60) == errors.EXIT_USAGE


def test_closed_output_is_no_error() -> None:
    done = subprocess.run(["sh", "-c", f"{sys.executable} -m emulator.cli list >&- 2>&-"], check=False)
    assert done.returncode == 0


@pytest.mark.parametrize("words", ["--version", "list", "schema"])
def test_output_that_cannot_be_written_is_said(words: str) -> None:
    with open("/dev/full", "wb") as full:
        command = [*SKYLOOM, *words.split()]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == errors.EXIT_INTERNAL
    assert done.stderr.startswith("skyloom: ")
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        "plan leo --elements /dev/zero", "plan leo_access --weather /dev/zero", "plan lemonshark --set map=/dev/zero",
        "plan explore --set schedule=/dev/zero", "algo rdaf decide -g cycle:3 -a zero.json",
        "algo rdaf decide -g zero.edges", "plan plurality --set graph=zero.edges",
    ],
)  # fmt: skip
def test_files_without_an_end(words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused or not found, in bounded memory: `zero.edges` is a link to /dev/zero."""
    monkeypatch.chdir(tmp_path)
    for name in ("zero.json", "zero.edges"):
        (tmp_path / name).symlink_to("/dev/zero")
    done = skyloom(*words.split(), timeout_s=60, memory_bytes=3 << 30)
    assert done.returncode == errors.EXIT_DATA, done.stderr
    assert "Traceback" not in done.stderr


def test_printable() -> None:
    assert printable("é → 日本\tok\n") == "é → 日本\tok\n"
    assert printable(EVIL) == "\\u001b]0;owned\\u0007\\u009b31m\\u202etxt"
    assert one_line("a\nb\tc\x1b") == "a\\nb\\tc\\u001b"
    assert printable("\udcff").encode() == b"\\udcff"


def test_errors_quote_files_without_their_control_characters(tmp_path: Path) -> None:
    assert str(Problem("a\nb", EVIL, "1\r2", "3")) == f"a\\nb  {one_line(EVIL)}\n  found     1\\u000d2\n  expected  3"
    file = tmp_path / f"{EVIL}\udcff.toml"
    file.write_text(f'name = "x"\n"\\u001b[2J" = "{printable(EVIL)}"\n')
    for words in (["run", str(file)], ["algo", "tinterval", str(file)], ["run", f"{EVIL}"], ["plan", f"--{EVIL}"]):
        done = subprocess.run([*SKYLOOM, *words], capture_output=True, check=False)
        assert done.returncode in (64, 65), done.stderr
        assert not re.search(rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xa8-\xae]", done.stderr), done.stderr
        assert b"\\u001b" in done.stderr or b"\\x1b" in done.stderr  # as repr writes it


def test_tables_have_no_control_characters() -> None:
    assert aligned((EVIL, "b\nc"), [("1", EVIL)]).isprintable() is False  # its line ends
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", aligned((EVIL, "b\nc"), [("1", EVIL)]))


def test_a_plan_shows_the_description_as_it_stands(tmp_path: Path) -> None:
    """Neither control characters nor what rich would take for markup."""
    scenario = tmp_path / "x.toml"
    scenario.write_text(
        'topology = "topologies.graph"\ndescription = "[/] [red]\\u001b[2J\\u009b1m"\n[graph]\nspec = "cycle:3"\n'
    )
    done = skyloom("plan", scenario)
    assert done.returncode == 0, done.stderr
    assert "[/] [red]\\u001b[2J\\u009b1m" in done.stdout
    listed = skyloom("plan", scenario, "--json")
    assert "\x9b" not in listed.stdout


def test_a_file_of_an_option_is_one_of_the_folder_that_the_user_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.edges").write_text("0 1\n1 2\n2 0\n")
    (tmp_path / "dejavu").write_text("a file that is called as a value\n")
    scenario = load("plurality", ["graph=net.edges", "protocol=dejavu"])
    assert scenario.programs[0].config_values["neighbours"] == [[1, 2], [0, 2], [0, 1]]
    (tmp_path / "late.json").write_text('{"format": "skyloom-adversary/1", "events": []}')
    assert load("amnesiac", ["graph=./net.edges", "adversary=late.json"]).name == "amnesiac"
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    with pytest.raises(ScenarioError):
        load("plurality", ["graph=net.edges"])
    document = tmp_path / "own.toml"
    document.write_text('topology = "topologies.graph"\n[graph]\nspec = "net.edges"\n')
    assert len(build_topology(load(document)).nodes) == 3, "a file of the scenario is one of the scenario's folder"

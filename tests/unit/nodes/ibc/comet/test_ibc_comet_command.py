"""`skyloom verify header`: answers of a node in files, verdicts, exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from light_chain import LightChain
from typer.testing import CliRunner

from emulator.model.errors import DataError, UsageError
from nodes.ibc.comet import command, json_form


class Files:
    """Answers of a node about a chain, in a folder."""

    def __init__(self, folder: Path, chain: LightChain) -> None:
        self.folder = folder
        self.chain = chain

    def write(self, name: str, document: Any) -> str:
        path = self.folder / name
        path.write_text(json.dumps(document))
        return str(path)

    def commit(self, height: int, **changes: Any) -> str:
        signed = json_form.write_signed_header(self.chain.block(height).signed)
        signed["header"] |= changes
        answer = {"jsonrpc": "2.0", "id": 1, "result": {"signed_header": signed, "canonical": True}}
        return self.write(f"commit-{height}.json", answer)

    def validators(self, height: int, page: slice = slice(None), name: str = "") -> str:
        listed = json_form.write_validators(self.chain.validators(height))[page]
        answer = {"result": {"block_height": str(height), "validators": listed, "count": str(len(listed))}}
        return self.write(name or f"validators-{height}.json", answer)

    def light_block(self, height: int) -> str:
        block = self.chain.block(height)
        document = {
            "signed_header": json_form.write_signed_header(block.signed),
            "validator_set": {"validators": json_form.write_validators(block.validators)},
            "next_validator_set": {"validators": json_form.write_validators(block.next_validators)},
        }
        return self.write(f"light-{height}.json", document)


def steady(height: int) -> range:
    return range(4)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path, LightChain(steady))


def run(*words: str) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(command.header)
    result = CliRunner().invoke(app, list(words), standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.return_value, result.stdout


def test_answers_of_a_node_in_any_order(files: Files) -> None:
    names = [files.validators(30), files.commit(30), files.commit(10), files.validators(11), files.validators(10)]
    assert run(*names) == (0, "10  the first block: trusted\n30  from 10: verified\n")


def test_light_blocks_as_json(files: Files) -> None:
    code, said = run("--json", *(files.light_block(height) for height in (12, 10, 11)))
    assert code == 0
    assert [json.loads(line)["verdict"] for line in said.splitlines()] == ["trusted", "verified", "verified"]
    assert json.loads(said.splitlines()[2]) == {"height": 12, "from": 11, "verdict": "verified", "reason": ""}


def test_pages_of_validators_are_joined(files: Files) -> None:
    pages = [files.validators(10, slice(2), "a.json"), files.validators(10, slice(2, None), "b.json")]
    assert run(files.commit(10), *pages) == (0, "10  the first block: trusted\n")
    code, said = run(files.commit(10), pages[0])
    assert code == 1
    assert "invalid" in said


def test_a_gap_that_is_too_wide_asks_for_blocks_between(tmp_path: Path) -> None:
    files = Files(tmp_path, LightChain(lambda height: range(height, height + 4)))
    ends = [files.light_block(10), files.light_block(16)]
    code, said = run(*ends)
    assert code == 1
    assert "16  from 10: not enough trust" in said
    assert run(*ends, files.light_block(13))[0] == 0


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--trusting-period", "100 s"], "trusted for"),
        (["--now", "2023-11-14T22:13:30Z"], "before"),
        (["--trust-level", "1/1"], ""),
    ],
)
def test_policy_and_time_are_options(files: Files, words: list[str], reason: str) -> None:
    code, said = run(*words, files.light_block(10), files.light_block(40))
    assert code == 1
    assert reason in said


def test_a_header_that_was_changed_is_invalid(files: Files) -> None:
    code, said = run(files.light_block(10), files.commit(11, app_hash="00" * 32), files.validators(11))
    assert code == 1
    assert "11  from 10: invalid" in said
    code, said = run(files.commit(10, app_hash="00" * 32), files.validators(10))
    assert code == 1
    assert "10  the first block: invalid" in said


def test_what_is_missing_is_named(files: Files) -> None:
    with pytest.raises(DataError, match="validators of height 10"):
        run(files.commit(10))
    with pytest.raises(DataError, match="validators of height 11, those that follow 10"):
        run(files.commit(10), files.validators(10), files.commit(20), files.validators(20))
    with pytest.raises(DataError, match="no file holds a `signed_header`"):
        run(files.validators(10))


@pytest.mark.parametrize(
    "document",
    [[], 3, {}, {"result": None}, {"signed_header": {}}, {"validators": [], "block_height": "x"},
     {"validators": {}, "block_height": "1"}, {"validators": [{}], "block_height": "1"}],
)  # fmt: skip
def test_other_documents_are_refused_with_the_file(files: Files, document: Any) -> None:
    path = files.write("other.json", document)
    with pytest.raises(DataError, match=r"other\.json: "):
        run(path)


def test_files_that_are_none(files: Files, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        run(str(tmp_path / "absent.json"))
    (tmp_path / "text.json").write_text("{")
    with pytest.raises(DataError, match="expected JSON"):
        run(str(tmp_path / "text.json"))
    with pytest.raises(DataError, match="second block of height 10"):
        run(files.light_block(10), files.commit(10, app_hash="00" * 32))


@pytest.mark.parametrize(
    "words", [["--trust-level", "1/4"], ["--trust-level", "x"], ["--trusting-period", "9"], ["--now", "noon"]]
)
def test_options_that_make_no_sense(files: Files, words: list[str]) -> None:
    with pytest.raises(UsageError):
        run(*words, files.light_block(10))

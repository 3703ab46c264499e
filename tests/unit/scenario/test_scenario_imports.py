"""Code that a scenario names and cannot be imported: the error says what brings the package that is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.model.errors import Absent
from emulator.scenario import imports

WANTED = ["numpy>=2", "ray[client]<3,>=2.52; extra == 'cluster'", 'aiohttp>=3.10; extra == "dev"',
          'aiohttp>=3.10; extra == "ibc"']  # fmt: skip


@pytest.fixture(autouse=True)
def wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports.metadata, "requires", lambda name: WANTED)


@pytest.mark.parametrize(("package", "extra"), [("aiohttp", "ibc"), ("ray", "cluster"), ("numpy", None), ("x", None)])
def test_the_extra_of_a_package(package: str, extra: str | None) -> None:
    assert imports.extra_of(package) == extra


def test_a_module_that_needs_an_extra_names_it(tmp_path: Path) -> None:
    (tmp_path / "needs.py").write_text("raise ModuleNotFoundError(\"No module named 'aiohttp'\", name='aiohttp')\n")
    with pytest.raises(Absent) as refused:
        imports.module("needs.py", tmp_path)
    assert "No module named 'aiohttp'" in str(refused.value)
    assert "pip install 'skyloom[ibc]'" in str(refused.value)

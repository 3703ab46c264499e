"""Whose drawings a report has: the analysis's own, or those of the protocols whose programs ran, each once."""

import sys

import pytest

from emulator.record.load import Run
from emulator.report import figures

DRAWING = """
from emulator.report import drawing
def {name}(run):
    return [drawing.Drawing(name, "", "", drawing.new()[0]) for name in {drawn}]
"""
PROTOCOL = """
from emulator.sdk.protocol import Protocol
PROTOCOL = Protocol("{name}", "{name}", figures="{figures}")
class Program:
    protocol = "{module}:PROTOCOL"
class Silent:
    protocol = ""
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Makes a run whose programs are classes of modules written here."""
    monkeypatch.syspath_prepend(tmp_path)
    made = []

    def make(modules, programs, analysis=""):
        for name, text in modules.items():
            (tmp_path / f"{name}.py").write_text(text)
            made.append(name)
        document = f'name = "small"\nanalysis = "{analysis}"\n' + "".join(
            f'[[program]]\nname = "p{number}"\n{program}\n' for number, program in enumerate(programs)
        )
        return Run(tmp_path, document, None)

    yield make
    for name in made:
        sys.modules.pop(name, None)


def protocol(name, drawn, function="figures"):
    """Modules of a protocol that draws these names."""
    return {
        f"{name}_protocol": PROTOCOL.format(name=name, module=f"{name}_protocol", figures=f"{name}_drawn:{function}"),
        f"{name}_drawn": DRAWING.format(name="figures", drawn=drawn),
    }


def names(found):
    return [drawing.name for drawing in found[0]]


def test_protocols_draw_in_the_order_of_the_programs_and_each_name_once(run):
    modules = protocol("one", ["shared", "alone"]) | protocol("two", ["shared", "other"])
    programs = ['run = "two_protocol:Program"', 'command = ["true"]', 'run = "one_protocol:Program"',
                'run = "two_protocol:Program"', 'run = "one_protocol:Silent"']  # fmt: skip
    found = figures.of_run(run(modules, programs))
    assert names(found) == ["shared", "other", "alone"]
    assert found[1] == []


def test_an_analysis_that_draws_draws_alone(run):
    modules = protocol("three", ["x"]) | {"own_analysis": DRAWING.format(name="figures", drawn=["own", "own"])}
    assert names(figures.of_run(run(modules, ['run = "three_protocol:Program"'], "own_analysis"))) == ["own"]


def test_an_analysis_without_figures_leaves_them_to_the_protocols(run):
    modules = protocol("four", ["x"]) | {"bare_analysis": "def summarise(run): return {}"}
    assert names(figures.of_run(run(modules, ['run = "four_protocol:Program"'], "bare_analysis"))) == ["x"]


def test_what_cannot_be_found_is_a_warning(run):
    programs = ['run = "no_such_module:Program"', 'run = "five_protocol:Program"']
    drawings, warnings = figures.of_run(run(protocol("five", ["x"], "gone"), programs))
    assert drawings == []
    assert "no_such_module" in warnings[0]
    assert "five_drawn has no gone" in warnings[1]

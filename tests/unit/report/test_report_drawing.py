"""Drawings: the same bytes for the same figure, text as text, and no settings of others changed."""

import subprocess
import sys

from emulator.report import drawing


def figure():
    made, axes = drawing.new(width_in=5, height_in=3)
    axes.plot([1, 2, 3], [1, 4, 9], label="measured")
    axes.set_xlabel("link latency in ms")
    axes.errorbar([1, 2], [1, 2], yerr=[0.1, 0.2])
    axes.legend()
    return made


def test_the_same_figure_gives_the_same_svg():
    document = drawing.svg(figure())
    assert document == drawing.svg(figure())
    assert "<dc:date>" not in document
    assert ">link latency in ms</text>" in document
    assert drawing.PALETTE[0] in document


def test_what_is_added_later_has_the_style_too():
    made, axes = drawing.panels(2)
    assert len(axes) == 2
    axes[0].plot([1, 2], label="a line")
    assert not axes[0].legend().get_frame_on()
    assert axes[1].plot([1])[0].get_linewidth() == 1.6
    assert len(made.axes) == 2


def test_matplotlib_keeps_its_settings_and_pyplot_stays_out():
    probe = (
        "import sys, matplotlib\n"
        "before = matplotlib.rcParams.copy()\n"
        "from emulator.report import drawing\n"
        "figure, axes = drawing.new()\n"
        "axes.plot([1, 2])\n"
        "drawing.svg(figure)\n"
        "assert matplotlib.rcParams.copy() == before\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_importing_the_module_loads_no_matplotlib():
    probe = "import sys, emulator.report.drawing; assert 'matplotlib' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr

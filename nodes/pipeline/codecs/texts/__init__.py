"""Texts on which codecs are calibrated and judged, frozen so that scores do not depend on a version of Python.

- `calibration`, `docs`: excerpts of different topics of Python's reference (`pydoc_data.topics` of 3.11.7).
- `fortunes`: an excerpt of the file `literature` of Debian's package `fortunes` 1:1.99.1-7.3, a domain that calibration
  never sees.

LICENSES.txt beside them has their licenses: that of Python, and the BSD license.
"""

from importlib.resources import files

NAMES = ("calibration", "docs", "fortunes")


def text(name: str) -> str:
    """One of the texts above."""
    return (files(__name__) / f"{name}.txt").read_text("utf-8")

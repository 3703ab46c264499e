"""Texts on which codecs are calibrated and judged, frozen so that scores do not depend on a version of Python.

- `calibration`, `docs`: excerpts of different topics of Python's reference (`pydoc_data.topics` of 3.11.7). Copyright
  Python Software Foundation; PSF License Version 2, https://docs.python.org/3/license.html.
- `fortunes`: an excerpt of the file `literature` of Debian's package `fortunes` 1:1.99.1-7.3, a domain that calibration
  never sees. Copyright (c) 1991 The Regents of the University of California; BSD license, of which Debian's
  /usr/share/doc/fortunes/copyright has the text.
"""

from importlib.resources import files

NAMES = ("calibration", "docs", "fortunes")


def text(name: str) -> str:
    """One of the texts above."""
    return (files(__name__) / f"{name}.txt").read_text("utf-8")

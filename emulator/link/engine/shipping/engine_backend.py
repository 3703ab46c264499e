"""The build backend that pip loads: setuptools, and a step that compiles the packet engine.

Invariant: zig is asked for only where the library must be compiled and no compiler works. This folder holds what makes
packages; it is in no wheel. It holds few modules, because pip puts it first in the search path.
"""

from __future__ import annotations

import os
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from setuptools import Command, build_meta
from setuptools.build_meta import *  # noqa: F403 - the hooks that stay as setuptools has them
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build import build

SHIPPING = Path(__file__).resolve().parent
PLATFORMS = {  # what SKYLOOM_TARGET may be: zig's triple, and the platforms that its library runs on
    "x86_64-linux-gnu.2.17": "manylinux_2_17_x86_64.manylinux2014_x86_64",
    "aarch64-linux-gnu.2.17": "manylinux_2_17_aarch64.manylinux2014_aarch64",
    "x86_64-linux-musl": "musllinux_1_2_x86_64",
    "aarch64-linux-musl": "musllinux_1_2_aarch64",
}


def _load(path: Path) -> Any:
    spec = spec_from_file_location(f"skyloom_engine_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


engine = _load(SHIPPING.parent / "build.py")


def target() -> str:
    """The machine that wheels are made for, as zig's triple; "" is this one."""
    asked = os.environ.get("SKYLOOM_TARGET", "")
    if asked and asked not in PLATFORMS:
        raise SystemExit(f"SKYLOOM_TARGET is {asked!r}; expected one of {', '.join(PLATFORMS)}, or unset")
    return asked


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:
    needed = engine.requirements(engine.Plan(target=target(), strict=False))
    return [*build_meta.get_requires_for_build_wheel(config_settings), *needed]


def get_requires_for_build_editable(config_settings: Any = None) -> list[str]:
    needed = [] if engine.up_to_date() else engine.requirements(engine.Plan(strict=False))
    return [*build_meta.get_requires_for_build_editable(config_settings), *needed]


class BuildEngine(Command):
    """Compiles the library into the build folder, or beside its sources for an editable installation."""

    description = "compile the packet engine"
    user_options: list[tuple[str, str | None, str]] = []  # noqa: RUF012 - setuptools' own form
    build_lib: str | None
    editable_mode: bool

    def initialize_options(self) -> None:
        self.build_lib = None
        self.editable_mode = False

    def finalize_options(self) -> None:
        self.set_undefined_options("build_py", ("build_lib", "build_lib"))

    def run(self) -> None:
        if self.editable_mode and engine.up_to_date():
            return
        plan = engine.Plan(target="" if self.editable_mode else target(), strict=False)
        words = engine.compile_library(self._library(), plan)
        sys.stderr.write(f"packet engine built with {words}\n")

    def _library(self) -> Path:
        assert self.build_lib is not None
        return engine.LIBRARY if self.editable_mode else Path(self.build_lib, *self._parts()).resolve()

    def _parts(self) -> tuple[str, ...]:
        return engine.LIBRARY.relative_to(engine.REPOSITORY).parts  # type: ignore[no-any-return]

    def get_outputs(self) -> list[str]:
        assert self.build_lib is not None
        return [str(Path(self.build_lib, *self._parts()))]

    def get_output_mapping(self) -> dict[str, str]:
        return {}

    def get_source_files(self) -> list[str]:
        """What the source distribution needs beside the packages."""
        paths = [*SHIPPING.parent.glob("*.[ch]"), *SHIPPING.glob("*.py")]
        return sorted(str(path.relative_to(engine.REPOSITORY)) for path in paths)


class Build(build):
    """The ordinary build, and the packet engine."""

    sub_commands = [*build.sub_commands, ("build_engine", None)]  # noqa: RUF012 - setuptools' own form


class Wheel(bdist_wheel):
    """A wheel for one platform and any Python: the library is loaded by ctypes."""

    def finalize_options(self) -> None:
        # There is no Extension: that would ask for Python.h.
        self.distribution.has_ext_modules = lambda: True  # type: ignore[method-assign]
        super().finalize_options()

    def get_tag(self) -> tuple[str, str, str]:
        return "py3", "none", PLATFORMS.get(target()) or super().get_tag()[2]

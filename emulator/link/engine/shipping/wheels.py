"""Makes the source archive and the wheels of all platforms that Skyloom is published for, on one machine.

Invariant: nothing is left in dist/ that was not checked: tag, machine, needed libraries and the newest symbol of glibc.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path
from typing import Any

SHIPPING = Path(__file__).resolve().parent
REPOSITORY = SHIPPING.parents[3]
WORK = REPOSITORY / "build" / "wheels"
DIST = REPOSITORY / "dist"
TOOLS = ("setuptools>=77.0.3", "auditwheel>=6", "pyelftools>=0.30")
GLIBC = (2, 17)
NEEDED = {
    "manylinux": {"libc.so.6", "libm.so.6", "libpthread.so.0", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"},
    "musllinux": {"libc.so"},  # the loader of musl knows itself by this name
}
LIBRARY = "emulator/link/engine/libengine.so"


class Refused(Exception):
    """A package that was made is not as it must be."""


def main() -> int:
    """Set the tools up, and go on with them: this process has neither zig nor pyelftools."""
    python = WORK / "venv" / "bin" / "python"
    if Path(sys.prefix) != WORK / "venv":
        sys.path.insert(0, str(SHIPPING))
        if not (WORK / "venv" / ".tools").exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", WORK / "venv"], check=True)
            quiet = ["--quiet", "--disable-pip-version-check"]
            subprocess.run([python, "-m", "pip", "install", *quiet, *TOOLS, _zig()], check=True)
            (WORK / "venv" / ".tools").touch()
        return subprocess.run([python, "-P", __file__], check=False).returncode
    try:
        make_all()
    except (Refused, subprocess.CalledProcessError) as error:
        sys.stderr.write(f"wheels.py: {error}\n")
        return 1
    return 0


def _zig() -> str:
    """The pinned zig, as build.py names it."""
    words = re.search(r'^ZIG = "([^"]+)"', (SHIPPING.parent / "build.py").read_text(), re.MULTILINE)
    assert words is not None
    return words[1]


def make_all() -> None:
    sys.path.insert(0, str(SHIPPING))
    import engine_backend as backend  # found beside this file, as pip finds it

    made = WORK / "made"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    archive = _source_archive(made)
    _say(archive, "has the sources of the engine")
    for target, platforms in backend.PLATFORMS.items():
        started = time.monotonic()
        wheel = _wheel(archive, target, made)
        words = check(wheel, target, platforms)
        _say(wheel, f"{words}; made in {time.monotonic() - started:.1f} s")
    DIST.mkdir(exist_ok=True)
    for path in made.iterdir():
        path.replace(DIST / path.name)


def _say(path: Path, words: str) -> None:
    sys.stdout.write(f"{path.name} ({path.stat().st_size / 1024:.0f} KB)\n    {words}\n")
    sys.stdout.flush()


def _source_archive(folder: Path) -> Path:
    order = (
        f"import sys; sys.path.insert(0, {str(SHIPPING)!r}); import engine_backend as b; b.build_sdist({str(folder)!r})"
    )
    _quietly([sys.executable, "-c", order], REPOSITORY)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as files:
        names = {name.split("/", 1)[-1] for name in files.getnames()}
    required = [*SHIPPING.parent.glob("*.[ch]"), SHIPPING.parent / "build.py", *SHIPPING.glob("*.py")]
    missing = [str(path.relative_to(REPOSITORY)) for path in required if str(path.relative_to(REPOSITORY)) not in names]
    if missing or LIBRARY in names:
        raise Refused(
            f"{archive.name} lacks {missing}" if missing else f"{archive.name} has {LIBRARY}; expected sources only"
        )
    return archive


def _wheel(archive: Path, target: str, folder: Path) -> Path:
    """One wheel from the unpacked archive, which no earlier build has touched."""
    tree = WORK / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    with tarfile.open(archive) as files:
        files.extractall(tree, filter="data")
    (unpacked,) = tree.iterdir()
    before = set(folder.glob("*.whl"))
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    _quietly([*pip, "--wheel-dir", str(folder), "."], unpacked, SKYLOOM_TARGET=target)
    (wheel,) = set(folder.glob("*.whl")) - before
    return wheel


def _quietly(command: list[str], folder: Path, **environment: str) -> str:
    """What a command prints; where it fails, what it printed is the error."""
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise Refused(f"{' '.join(command[:5])} ... ended with {done.returncode} in {folder}\n{done.stdout}")
    return done.stdout


def check(wheel: Path, target: str, platforms: str) -> str:
    """What was found in a wheel; `Refused` where it is not made for the target."""
    with zipfile.ZipFile(wheel) as files:
        names = files.namelist()
        if not wheel.name.endswith(f"-py3-none-{platforms}.whl"):
            raise Refused(f"{wheel.name} is tagged wrongly; expected py3-none-{platforms}")
        strange = [name for name in names if name.endswith((".c", ".h")) or "/shipping/" in name]
        if LIBRARY not in names or strange:
            raise Refused(f"{wheel.name}: expected {LIBRARY} and no sources, found {strange or names[:5]}")
        machine, needed, newest = read_library(files.read(LIBRARY))
    family = platforms.split("_")[0]
    if machine != target.split("-")[0]:
        raise Refused(f"{wheel.name} has a library for {machine}; expected {target}")
    if not needed <= NEEDED[family]:
        raise Refused(f"{wheel.name} needs {sorted(needed - NEEDED[family])}; expected only {sorted(NEEDED[family])}")
    if newest > (GLIBC if family == "manylinux" else ()):
        raise Refused(f"{wheel.name} needs GLIBC_{'.'.join(map(str, newest))}; expected at most {platforms}")
    words = f"{machine}, needs {', '.join(sorted(needed)) or 'nothing'}"
    words += f", newest symbol GLIBC_{'.'.join(map(str, newest))}" if newest else ""
    if family == "musllinux":
        return f"{words}; auditwheel was not asked: it looks for musl on this machine"
    return f"{words}; auditwheel: {_auditwheel(wheel, platforms)}"


def read_library(content: bytes) -> tuple[str, set[str], tuple[int, ...]]:
    """Machine, needed libraries, and the newest version of a glibc symbol in a shared library."""
    from elftools.elf.elffile import ELFFile
    from elftools.elf.gnuversions import GNUVerNeedSection

    file: Any = ELFFile(io.BytesIO(content))
    machine = {"EM_X86_64": "x86_64", "EM_AARCH64": "aarch64"}.get(file["e_machine"], file["e_machine"])
    needed = {tag.needed for tag in file.get_section_by_name(".dynamic").iter_tags("DT_NEEDED")}
    versions = [
        tuple(map(int, version.name.removeprefix("GLIBC_").split(".")))
        for section in file.iter_sections()
        if isinstance(section, GNUVerNeedSection)
        for _, auxiliary in section.iter_versions()
        for version in auxiliary
        if version.name.startswith("GLIBC_")
    ]
    return machine, needed, max(versions, default=())


def _auditwheel(wheel: Path, platforms: str) -> str:
    """The oldest platform that auditwheel finds the wheel fit for."""
    output = _quietly([sys.executable, "-m", "auditwheel", "show", str(wheel)], REPOSITORY)
    found = re.search(r'following\s+platform\s+tag:\s+"([^"]+)"', output)
    if found is None:
        raise Refused(f"auditwheel names no platform for {wheel.name}; expected {platforms}\n{output}")
    family, major, minor, _ = re.match(r"(\w+?)_(\d+)_(\d+)_(.*)", found[1]).groups()  # type: ignore[union-attr]
    limit = re.match(r"(\w+?)_(\d+)_(\d+)_", platforms)
    assert limit is not None
    if family != limit[1] or (int(major), int(minor)) > (int(limit[2]), int(limit[3])):
        raise Refused(f"auditwheel finds {wheel.name} fit for {found[1]} only; expected {platforms}")
    return found[1]


if __name__ == "__main__":
    raise SystemExit(main())

"""How the packet engine is compiled: which compiler is taken, what stands where it fails, and what pip makes of it."""

import ctypes
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from emulator.link.engine import build

ROOT = Path(__file__).parents[3]
HEADER = "const char *engine_built_with(void);\n"
SOURCE = """\
#include "part.h"
__attribute__((visibility("default"))) const char *engine_built_with(void) { return ENGINE_BUILT_WITH; }
"""
LENIENT = build.Plan(strict=False)
WORKING = not build.requirements(LENIENT)
needs_compiler = pytest.mark.skipif(not WORKING, reason="no C compiler works here: apt-get install gcc libc6-dev")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A small engine in a repository of its own, at the place where the real one is."""
    folder = tmp_path / "emulator" / "link" / "engine"
    folder.mkdir(parents=True)
    (folder / "part.h").write_text(HEADER)
    (folder / "part.c").write_text(SOURCE)
    monkeypatch.setattr(build, "REPOSITORY", tmp_path)
    monkeypatch.setattr(build, "FOLDER", folder)
    return folder


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A PATH with nothing in it, and no zig."""
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setattr(build, "find_spec", lambda name: None)
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(programs))
    return programs


def program(folder, name, *lines):
    """A shell script that stands for a compiler."""
    file = folder / name
    file.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    file.chmod(0o755)


def words_of(library):
    function = ctypes.CDLL(str(library)).engine_built_with
    function.restype = ctypes.c_char_p
    return function().decode()


def test_without_a_compiler_the_error_says_what_each_said_and_pip_brings_zig(path, capsys):
    program(path, "cc", "echo 'fatal error: stdio.h: No such file or directory' >&2", "exit 1")
    program(path, "gcc", "exit 0")
    with pytest.raises(build.NoCompiler) as told:
        build.find_compiler(LENIENT)
    lines = str(told.value).splitlines()
    assert [line.split(None, 1) for line in lines[1:4]] == [
        ["$CC", "not set"],
        ["cc", "fatal error: stdio.h: No such file or directory"],
        ["gcc", "ended with 0 and made nothing"],
    ]
    assert "the package ziglang is not installed" in lines[5]
    assert "apt-get install gcc libc6-dev" in lines[-1]
    assert build.requirements(LENIENT) == [build.ZIG]
    assert build.main(["--probe"]) == 69
    assert "no C compiler works here" in capsys.readouterr().err


@needs_compiler
def test_a_compiler_is_taken_that_compiles_not_one_that_is_there(path, monkeypatch):
    real = shutil.which("cc", path=os.defpath) or shutil.which("gcc", path=os.defpath)
    if real is None:
        pytest.skip("the compiler of this machine is neither cc nor gcc")
    program(path, "cc", "echo no headers >&2", "exit 1")
    program(path, "gcc", f"PATH={os.defpath}", f'exec {real} "$@"')
    found = build.find_compiler(LENIENT)
    assert found.command == ("gcc",)
    assert found.name.split()[0] in {"gcc", "clang"}
    program(path, "mine", f"PATH={os.defpath}", f'exec {real} "$@"')
    monkeypatch.setenv("CC", "mine -DOF_MINE")
    assert build.find_compiler(LENIENT).command == ("mine", "-DOF_MINE")


def test_sanitizers_and_other_machines_are_asked_of_who_has_them(path):
    with pytest.raises(build.NoCompiler, match="no compiler here has address,undefined"):
        build.find_compiler(build.Plan(sanitize="address,undefined"))
    with pytest.raises(build.NoCompiler, match=r"clang libclang-rt-14-dev"):
        build.find_compiler(build.Plan(sanitize="address", fuzz=True))
    with pytest.raises(build.NoCompiler, match="Other machines are compiled for by zig alone"):
        build.find_compiler(build.Plan(target="aarch64-linux-gnu.2.17"))
    with pytest.raises(SystemExit):
        build.main(["--sanitize", "address"])  # it would take the place of the library of runs


@needs_compiler
def test_the_library_says_what_built_it_and_whether_it_is_of_these_sources(folder):
    library = folder / "libengine.so"
    assert not build.up_to_date(library)
    words = build.compile_library(library)
    assert words_of(library) == words
    assert build.find_compiler(build.Plan()).name in words
    assert ", -O2, " in words
    assert build.up_to_date(library)
    assert not build.up_to_date(library, build.Plan(sanitize="undefined"))
    (folder / "part.h").write_text(HEADER + "\n")
    assert not build.up_to_date(library)
    assert build.main(["--if-changed", "--output", str(library)]) == 0
    assert build.up_to_date(library)
    (folder / "more.c").write_text("typedef int nothing;\n")
    assert not build.up_to_date(library)


@needs_compiler
def test_a_library_that_does_not_load_is_not_up_to_date(folder):
    library = folder / "libengine.so"
    library.write_bytes(build.digest(build.Plan()).encode())
    assert not build.up_to_date(library)


@needs_compiler
@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("int wrong(void) { return 1 }\n", "part.c"),
        ("int nowhere(void);\n" + SOURCE + "int here(void);\nint here(void) { return nowhere(); }\n", "nowhere"),
        (SOURCE + "static int unused(void) { return 1; }\n", "unused"),
    ],
    ids=["does not parse", "undefined name", "warning"],
)
def test_a_failure_says_the_command_and_leaves_the_old_library(folder, capsys, code, said):
    library = folder / "libengine.so"
    build.compile_library(library)
    before = library.read_bytes()
    (folder / "part.c").write_text(code)
    assert build.main(["--output", str(library)]) == 1
    told = capsys.readouterr().err
    assert said in told
    assert "The command was" in told
    assert library.read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == ["libengine.so", "part.c", "part.h"]


@needs_compiler
def test_warnings_do_not_stop_an_installation(folder):
    (folder / "part.c").write_text(SOURCE + "static int unused(void) { return 1; }\n")
    build.compile_library(folder / "libengine.so", LENIENT)
    assert build.up_to_date(folder / "libengine.so")


@needs_compiler
def test_the_same_sources_make_the_same_library_wherever_they_lie(folder, tmp_path, monkeypatch):
    build.compile_library(folder / "libengine.so")
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(tmp_path / "emulator", elsewhere / "emulator")
    monkeypatch.setattr(build, "REPOSITORY", elsewhere)
    monkeypatch.setattr(build, "FOLDER", elsewhere / "emulator" / "link" / "engine")
    build.compile_library(elsewhere / "libengine.so")
    first = (folder / "libengine.so").read_bytes()
    assert first == (elsewhere / "libengine.so").read_bytes()
    assert str(tmp_path).encode() not in first


def test_a_folder_without_sources_is_an_error(folder):
    (folder / "part.c").unlink()
    with pytest.raises(build.BuildError, match=r"has no C files; expected the sources of the packet engine"):
        build.compile_library(folder / "libengine.so")


def test_every_fuzz_target_becomes_a_program(folder, tmp_path):
    try:
        build.find_compiler(build.Plan(sanitize="address,undefined", fuzz=True))
    except build.NoCompiler as error:
        pytest.skip(str(error).splitlines()[0])
    targets = tmp_path / "fuzz"
    targets.mkdir()
    (targets / "words.c").write_text(
        '#include <stddef.h>\n#include <stdint.h>\n#include "part.h"\n'
        "int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)\n"
        "{ return (data && size && !engine_built_with()) ? -1 : 0; }\n"
    )
    (made,) = build.compile_fuzz_programs(targets, tmp_path / "made")
    done = subprocess.run([made, "-runs=10"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# --- what pip makes of it ---------------------------------------------------------------------------------------------

HOOKS = "import sys; sys.path.insert(0, 'emulator/link/engine/shipping'); import engine_backend as b; print({})"


@pytest.fixture
def checkout(tmp_path_factory):
    """The files that make a package, without a library. Each test has its own: one of them compiles into it."""
    pytest.importorskip(
        "setuptools.command.bdist_wheel", reason="setuptools is older than 70.1: pip install -e '.[dev]'"
    )
    tree = tmp_path_factory.mktemp("checkout")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    shutil.copytree(ROOT / "emulator", tree / "emulator", ignore=shutil.ignore_patterns("__pycache__", "*.so", ".lib*"))
    return tree


def hook(checkout, call, **environment):
    """What a hook of the build backend returns, as the last line that it prints."""
    done = subprocess.run(
        [sys.executable, "-c", HOOKS.format(call)], cwd=checkout, env={**os.environ, **environment},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout.splitlines()[-1]


@pytest.mark.slow
@needs_compiler
def test_a_wheel_is_for_one_platform_and_any_python_and_has_the_library(checkout, tmp_path):
    name = hook(checkout, f"b.build_wheel({str(tmp_path)!r})")
    assert "-py3-none-linux_" in name
    with zipfile.ZipFile(tmp_path / name) as wheel:
        inside = [name for name in wheel.namelist() if name.startswith("emulator/link/engine/")]
        wheel.extract("emulator/link/engine/libengine.so", tmp_path)
    assert "emulator/link/engine/binding.py" in inside
    assert not [name for name in inside if name.endswith((".c", ".h")) or "shipping" in name]
    assert words_of(tmp_path / "emulator/link/engine/libengine.so")
    assert not (checkout / "emulator/link/engine/libengine.so").exists()


@pytest.mark.slow
def test_the_source_archive_has_what_a_build_needs(checkout, tmp_path):
    with tarfile.open(tmp_path / hook(checkout, f"b.build_sdist({str(tmp_path)!r})")) as archive:
        inside = {name.split("/", 1)[-1] for name in archive.getnames()}
    engine = ROOT / "emulator" / "link" / "engine"
    expected = [*engine.glob("*.[ch]"), engine / "build.py", *engine.glob("shipping/*.py")]
    assert {str(path.relative_to(ROOT)) for path in expected} <= inside
    assert not [name for name in inside if name.endswith(".so")]


@pytest.mark.slow
@needs_compiler
def test_an_editable_installation_has_the_library_beside_the_sources(checkout, tmp_path):
    bare = {"PATH": str(tmp_path), "CC": ""}
    zig = build.find_spec("ziglang") is None
    assert (build.ZIG in hook(checkout, "b.get_requires_for_build_editable()", **bare)) == zig
    assert build.ZIG not in hook(checkout, "b.get_requires_for_build_editable()")
    hook(checkout, f"b.build_editable({str(tmp_path)!r})")
    assert words_of(checkout / "emulator/link/engine/libengine.so")
    assert build.ZIG not in hook(checkout, "b.get_requires_for_build_editable()", **bare)
    assert (build.ZIG in hook(checkout, "b.get_requires_for_build_wheel()", **bare)) == zig

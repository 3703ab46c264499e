"""Compiles the packet engine: every C file of this folder becomes one shared library beside them.

Invariant: compilers and flags are named here and nowhere else. The module needs only the standard library: pip and make
load it by path before Skyloom is installed (`python -P emulator/link/engine/build.py --help`).
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
LIBRARY = FOLDER / "libengine.so"
REPOSITORY = FOLDER.parents[2]
FUZZ_TARGETS = REPOSITORY / "tests" / "fuzz"
FUZZ_PROGRAMS = REPOSITORY / "build" / "fuzz"
ZIG = "ziglang>=0.13,<0.18"  # pinned, as it is below 1.0; tested with 0.17.1
ZIG_COMMAND = (sys.executable, "-m", "ziglang", "cc")
EXIT_PLATFORM = 69  # as in emulator.model.errors

FLAGS = (
    "-std=c11", "-D_GNU_SOURCE", "-g", "-fPIC", "-pthread", "-fvisibility=hidden",
    "-ffp-contract=off",  # a fused multiply-add rounds differently, and so moves packets by a nanosecond
    "-fno-strict-aliasing",  # headers are read from packets in place; sanitizers do not find violations
)  # fmt: skip
WARNINGS = (
    "-Wall", "-Wextra", "-Wshadow", "-Wundef", "-Wvla", "-Wwrite-strings", "-Wstrict-prototypes",
    "-Wmissing-prototypes",
)  # fmt: skip
PROBE = """\
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
static atomic_int count;
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    atomic_fetch_add(&count, size ? data[0] : 1);
    return printf("%f %d", sqrt((double)size), pthread_equal(pthread_self(), pthread_self())) < 0;
}
"""
NAMES = """\
#ifdef __clang__
clang __clang_major__ __clang_minor__ __clang_patchlevel__
#elif defined __GNUC__
gcc __GNUC__ __GNUC_MINOR__ __GNUC_PATCHLEVEL__
#endif
#ifdef __x86_64__
machine x86-64
#elif defined __aarch64__
machine aarch64
#endif
"""
HELP = (
    "Install one: on Debian and Ubuntu `apt-get install gcc libc6-dev`, on Fedora `dnf install gcc`, on Alpine "
    f"`apk add gcc musl-dev`; or, without root, `{Path(sys.executable).name} -m pip install '{ZIG}'`."
)


class BuildError(Exception):
    """The library could not be compiled; the message names the attempts and a remedy."""


class NoCompiler(BuildError):
    """No compiler of this machine can compile the plan."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The parameters of a build, apart from the compiler."""

    sanitize: str = ""  # "address,undefined", "thread"
    target: str = ""  # a zig triple such as "aarch64-linux-gnu.2.17"; "" is this machine
    fuzz: bool = False  # programs for libFuzzer instead of a library
    strict: bool = True  # warnings are errors: for developers, not for a user's unknown compiler

    @property
    def optimisation(self) -> str:
        return "-O1" if self.sanitize or self.fuzz else "-O2"

    @property
    def sanitizers(self) -> list[str]:
        return (["fuzzer"] if self.fuzz else []) + [name for name in self.sanitize.split(",") if name]

    def flags(self) -> list[str]:
        strict = self.strict and "thread" not in self.sanitizers  # it does not follow fences, and gcc warns
        flags = [*FLAGS, self.optimisation, *WARNINGS, *(["-Werror"] if strict else [])]
        if self.fuzz:
            flags += ["-Wno-missing-prototypes"]
        else:
            flags += ["-shared"]
        if not self.sanitizers:
            return [*flags, "-Wl,-z,defs", "-Wl,-z,now"]  # an undefined name fails here, not at a user's first run
        names = [*self.sanitizers, *(["float-cast-overflow"] if "undefined" in self.sanitizers else [])]
        return [*flags, f"-fsanitize={','.join(names)}", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]


@dataclass(frozen=True, slots=True)
class Compiler:
    """A compiler that has compiled the probe with the flags of a plan."""

    command: tuple[str, ...]
    name: str  # "gcc 12.2.0"
    machine: str


def sources() -> list[Path]:
    return sorted(FOLDER.glob("*.c"))


def digest(plan: Plan) -> str:
    """A fingerprint of the sources, the flags and the target, but not of the compiler."""
    hashed = hashlib.sha256()
    for path in [*sources(), *sorted(FOLDER.glob("*.h"))]:
        content = path.read_bytes()
        hashed.update(f"{path.name} {len(content)}\n".encode() + content)
    flags = [flag for flag in plan.flags() if flag != "-Werror"]
    hashed.update(" ".join([*flags, plan.target or platform.machine()]).encode())
    return f"skyloom-engine-sources-{hashed.hexdigest()}"


def up_to_date(library: Path = LIBRARY, plan: Plan | None = None) -> bool:
    """Whether the library was compiled from the present sources, and loads on this machine."""
    plan = plan or Plan()
    try:
        if digest(plan).encode() not in library.read_bytes():
            return False
        if not plan.sanitizers and not plan.target:
            ctypes.CDLL(str(library))
    except OSError:
        return False
    return True


def candidates(plan: Plan) -> list[tuple[str, tuple[str, ...]]]:
    """Compilers to try, each with its name in error messages."""
    zig = ("python -m ziglang cc", ZIG_COMMAND)
    if plan.target:
        return [zig]  # the others compile for their own machine
    found = [("$CC", tuple(shlex.split(os.environ.get("CC", ""))))]
    found += [(name, (name,)) for name in (["clang"] if plan.fuzz else ["cc", "gcc", "clang"])]
    return found if plan.sanitizers else [*found, zig]  # zig brings no sanitizer


def find_compiler(plan: Plan) -> Compiler:
    """The first candidate that compiles the probe with the flags of the plan."""
    tried = []
    for label, command in candidates(plan):
        error = _why_unusable(command, plan)
        if not error:
            return _named(command, plan)
        tried.append(f"  {label:22}{error}")
    what = "no C compiler works here" if not plan.sanitizers else f"no compiler here has {','.join(plan.sanitizers)}"
    packages = {"fuzzer": "clang libclang-rt-14-dev", "": ""}.get((plan.sanitizers or [""])[0], "gcc libc6-dev")
    what_to_do = f"On Debian `apt-get install {packages}`." if packages else HELP
    if plan.target:
        what_to_do = f"Other machines are compiled for by zig alone: pip install '{ZIG}'."
    listed = "\n".join(tried)
    raise NoCompiler(f"{what}. Each was given a file that includes stdio.h:\n{listed}\n{what_to_do}")


def requirements(plan: Plan) -> list[str]:
    """The packages that pip must install for a build: zig if no compiler works, else none."""
    try:
        find_compiler(plan)
    except NoCompiler:
        return [ZIG]
    return []


def _why_unusable(command: tuple[str, ...], plan: Plan) -> str:
    """The error of a compiler on the probe; "" if it compiles the probe."""
    if not command:
        return "not set"
    if command == ZIG_COMMAND:
        if find_spec("ziglang") is None:
            return "the package ziglang is not installed"
    elif shutil.which(command[0]) is None:
        return "not in PATH"
    with tempfile.TemporaryDirectory(prefix="skyloom-probe-") as folder:
        probe, output = Path(folder, "probe.c"), Path(folder, "probe.so")
        probe.write_text(PROBE)
        done = _run([*command, *_machine_flags(command, plan), *plan.flags(), "-o", str(output), str(probe), "-lm"])
        if done.returncode == 0 and output.exists():
            return ""
    return _gist(done.stderr or done.stdout) or f"ended with {done.returncode} and made nothing"


def _machine_flags(command: tuple[str, ...], plan: Plan) -> list[str]:
    """Flags for the target machine. By default zig compiles for the very processor it runs on, and such a library
    fails on an older one."""
    if command != ZIG_COMMAND:
        return []
    return ["-mcpu=baseline", "-fno-sanitize=undefined", *(["-target", plan.target] if plan.target else [])]


def _named(command: tuple[str, ...], plan: Plan) -> Compiler:
    """The compiler with its name and machine, read from its macros, as `cc` and `gcc` may be any compiler."""
    with tempfile.TemporaryDirectory(prefix="skyloom-probe-") as folder:
        question = Path(folder, "names.c")
        question.write_text(NAMES)
        output = _run([*command, *_machine_flags(command, plan), "-E", "-P", str(question)]).stdout
    words = dict(line.split(" ", 1) for line in output.splitlines() if " " in line)
    machine = words.pop("machine", platform.machine()).replace("x86-64", "x86_64")
    name = next((f"{kind} {version.replace(' ', '.')}" for kind, version in words.items()), Path(command[0]).name)
    if command == ZIG_COMMAND:
        name = f"zig {_run([*command[:-1], 'version']).stdout.strip()} ({name})"
    return Compiler(command, name, plan.target or machine)


def _run(command: Sequence[str], folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        return subprocess.run(
            command, capture_output=True, text=True, errors="replace", env=environment, cwd=folder, check=False
        )
    except OSError as error:
        return subprocess.CompletedProcess(command, 127, "", str(error))


def _gist(output: str) -> str:
    """The most informative line of a compiler's output."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return next((line for line in lines if "error" in line.lower()), lines[0] if lines else "")[:200]


def built_with(compiler: Compiler, plan: Plan) -> str:
    """The description of the build that the library contains: "gcc 12.2.0, -O2, x86_64"."""
    return ", ".join([compiler.name, plan.optimisation, *plan.sanitizers, compiler.machine])


def compile_library(output: Path = LIBRARY, plan: Plan | None = None) -> str:
    """Compile all sources to `output`, which is replaced as a whole; returns the description of the build."""
    plan = plan or Plan()
    if not sources():
        raise BuildError(f"{FOLDER} has no C files; expected the sources of the packet engine")
    compiler = find_compiler(plan)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".libengine-") as folder:
        stamp = Path(folder, "digest.c")
        stamp.write_text(
            "extern const char engine_digest[];\n"
            f'__attribute__((visibility("default"), used)) const char engine_digest[] = "{digest(plan)}";\n'
        )
        made = Path(folder, output.name)
        _compile([*map(_shown, sources()), str(stamp)], made, compiler, plan)
        made.replace(output)
    return built_with(compiler, plan)


def compile_fuzz_programs(targets: Path = FUZZ_TARGETS, output: Path = FUZZ_PROGRAMS) -> list[Path]:
    """Compile each C file of `targets` with all sources to a libFuzzer program; return the programs."""
    plan = Plan(sanitize="address,undefined", fuzz=True)
    files = sorted(targets.glob("*.c"))
    if not files:
        raise BuildError(f"{targets} has no C files; expected fuzz targets, one a file")
    compiler = find_compiler(plan)
    output.mkdir(parents=True, exist_ok=True)
    for path in files:
        _compile([*map(_shown, sources()), _shown(path)], output / path.stem, compiler, plan)
    return [output / path.stem for path in files]


def _compile(inputs: Sequence[str], output: Path, compiler: Compiler, plan: Plan) -> None:
    command = [
        *compiler.command, *_machine_flags(compiler.command, plan), *plan.flags(), f"-I{_shown(FOLDER)}",
        f'-DENGINE_BUILT_WITH="{built_with(compiler, plan)}"',
        f"-ffile-prefix-map={REPOSITORY}=.", f"-ffile-prefix-map={output.parent}=generated",
        "-o", str(output), *inputs, "-lm",
    ]  # fmt: skip
    done = _run(command, REPOSITORY)
    if done.returncode != 0:
        messages = (done.stderr or done.stdout).rstrip()
        words = f"{compiler.name} could not compile the packet engine"
        raise BuildError(f"{words}\n{messages}\nThe command was\n  {shlex.join(command)}")
    if done.stderr:
        sys.stderr.write(done.stderr)


def _shown(path: Path) -> str:
    """A path for messages and debuggers: relative to the repository, the same on every machine."""
    return str(path.relative_to(REPOSITORY)) if path.is_relative_to(REPOSITORY) else str(path)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line for developers and `make`; returns 0, 1 if compiling fails, 69 if no compiler can do it."""
    parser = argparse.ArgumentParser(prog="build.py", description="Compile the packet engine.")
    parser.add_argument("--output", type=Path, help=f"the library (default: {LIBRARY.name} beside the sources)")
    parser.add_argument("--if-changed", action="store_true", help="do nothing where the library is up to date")
    parser.add_argument("--sanitize", default="", metavar="LIST", help="address,undefined or thread; needs --output")
    parser.add_argument("--target", default="", metavar="TRIPLE", help="another machine: aarch64-linux-gnu.2.17")
    parser.add_argument("--fuzz", action="store_true", help=f"make programs of tests/fuzz/*.c in {FUZZ_PROGRAMS.name}")
    parser.add_argument("--probe", action="store_true", help="only say which compiler would be used")
    options = parser.parse_args(arguments)
    if (options.sanitize or options.target) and not (options.output or options.probe):
        parser.error("--sanitize and --target need --output: they make no library for runs on this machine")
    plan = Plan("address,undefined" if options.fuzz else options.sanitize, options.target, options.fuzz)
    try:
        if options.probe:
            words = built_with(find_compiler(plan), plan)
        elif options.fuzz:
            words = "\n".join(map(str, compile_fuzz_programs(output=options.output or FUZZ_PROGRAMS)))
        else:
            output = (options.output or LIBRARY).resolve()
            if options.if_changed and up_to_date(output, plan):
                return 0
            words = f"{output.name}: built with {compile_library(output, plan)}"
    except BuildError as error:
        sys.stderr.write(f"{parser.prog}: {error}\n")
        return EXIT_PLATFORM if isinstance(error, NoCompiler) else 1
    sys.stdout.write(words + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

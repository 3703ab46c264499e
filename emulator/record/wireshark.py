"""Installing into Wireshark: dissectors of all installed protocols, and an extcap that lists links of live runs.

Invariant: a file that does not carry our mark is never written over, and nothing is written before all are known to be
ours or new. Under sudo everything goes to, and belongs to, the user behind it.
"""

from __future__ import annotations

import os
import pwd
import shlex
import sys
from pathlib import Path

from emulator.model.errors import DataError, UsageError
from emulator.model.outputs import write_atomic
from emulator.record.folder import give, invoking_user, reason
from emulator.record.lua import MARK, lua
from emulator.record.pcapng import LINKTYPE_RAW
from emulator.sdk.protocol import installed, load
from emulator.sdk.rounds import DISSECTOR as ROUNDS
from emulator.sdk.wire import Dissector

PLUGIN = Path(".local/lib/wireshark/plugins/skyloom.lua")  # Wireshark 2.6 and later
EXTCAPS = (
    Path(".config/wireshark/extcap/skyloom"),  # Wireshark 3 and 4.0
    Path(".local/lib/wireshark/extcap/skyloom"),  # 4.2 and later
)
CHOOSE = "*"  # in the place of a link end in an interface's name: the ends are given as an option
_OURS = MARK.partition(";")[0].removeprefix("-- ").encode()


def dissectors() -> list[Dissector]:
    """Of all protocols that are installed, ours and those of other packages. UsageError names one that is broken."""
    found: list[Dissector] = []
    for protocol in installed():
        try:
            found += load(protocol.dissectors)() if protocol.dissectors else []
        except (ImportError, AttributeError, TypeError, ValueError) as error:
            raise UsageError(f"protocol {protocol.name}: {error}; repair its package or uninstall it") from error
    return [*found, ROUNDS]


def plugin() -> str:
    """The Lua of all dissectors, also for `tshark -X lua_script:FILE`."""
    return lua(dissectors())


def sentence(word: str, **values: object) -> str:
    """A line as Wireshark reads it from an extcap; braces would end a value."""
    return f"{word} " + "".join(f"{{{key}={str(value).replace('}', ')')}}}" for key, value in values.items())


def options(choose: bool) -> list[str]:
    """What a user can set of an interface; of the one that stands for many, which links."""
    lines = []
    if choose:
        tooltip = "Link ends (node:port) or nodes, separated by spaces; * and ? are allowed"
        lines = [
            sentence(
                "arg", number=0, call="--links", display="Links", type="string", required="true", tooltip=tooltip,
                placeholder="gs-*:up",
            )
        ]  # fmt: skip
    kept = sentence(
        "arg", number=1, call="--snaplen", display="Bytes kept of each packet", type="integer", default=0,
        tooltip="0: all", range="0,65535",
    )  # fmt: skip
    return [*lines, kept]


def link_types() -> list[str]:
    """Wireshark wants one beforehand; the capture says itself what each interface has."""
    return [sentence("dlt", number=LINKTYPE_RAW, name="RAW", display="Raw IP")]


def extcap() -> str:
    """A script that Wireshark runs to list interfaces and to capture.

    Wireshark asks for the options of every interface whenever it starts, so what is always the same, and that no run is
    live, is answered without Python.
    """

    def say(lines: list[str]) -> str:
        return "printf '%s\\n' " + " ".join(shlex.quote(line) for line in lines)

    return f"""#!/bin/sh
# {_OURS.decode()}; changes are lost
case "$1" in
--extcap-interfaces) grep -q '@skyloom/' /proc/net/unix 2>/dev/null || exit 0 ;;
--extcap-dlts) {say(link_types())}; exit 0 ;;
--extcap-config)
    case "$*" in
    *':{CHOOSE}') {say(options(choose=True))} ;;
    *) {say(options(choose=False))} ;;
    esac
    exit 0 ;;
esac
exec {shlex.quote(sys.executable)} -m emulator.cli extcap "$@"
"""


def install(home: Path | None = None) -> list[Path]:
    """Write the plugin and the extcap below `home` (by default the invoking user's); the paths written.

    UsageError where a file of that name is not ours, DataError where one cannot be written.
    """
    owner = invoking_user(os.environ)
    if home is None:
        home = Path(pwd.getpwuid(owner[0]).pw_dir) if owner is not None else Path.home()
    script = extcap().encode()
    files = {home / PLUGIN: (plugin().encode(), 0o644)} | {home / path: (script, 0o755) for path in EXTCAPS}
    try:
        for path in files:
            if path.exists() and _OURS not in path.read_bytes()[:400]:
                raise UsageError(f"{path} is not ours and stays as it is; move it away to install Skyloom's")
        for path, (data, mode) in files.items():
            _make_folder(path.parent, owner)
            write_atomic(path, data)
            path.chmod(mode)
            give(path, owner)
    except OSError as error:
        raise DataError(f"{error.filename}: {reason(error)}") from error
    return list(files)


def _make_folder(folder: Path, owner: tuple[int, int] | None) -> None:
    """Make a folder and those above it; what is made belongs to the owner."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for each in missing:
        give(each, owner)

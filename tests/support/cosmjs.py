"""CosmJS and @confio/relayer from npm in a folder of the user's cache, for scripts of tests; or the reason why not."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path

PACKAGES = (
    "@cosmjs/stargate@0.32.4",
    "@cosmjs/tendermint-rpc@0.32.4",
    "@cosmjs/proto-signing@0.32.4",
    "@cosmjs/encoding@0.32.4",
    "cosmjs-types@0.9.0",
    "@confio/relayer@0.12.0",
    "sinon@15.2.0",  # which @confio/relayer loads and does not name
)
LEAST_NODE = 18
INSTALL_S = 100


@functools.cache
def cosmjs() -> Path | str:
    """The folder that has the packages in node_modules, or what is missing."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None:
        return "needs node: apt-get install nodejs npm"
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.removeprefix("v").split(".")[0]) < LEAST_NODE:
        return f"node {version} is older than {LEAST_NODE}"
    folder = (
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        / "skyloom-tests"
        / "cosmjs-0.32.4-relayer-0.12.0"
    )
    whole = folder / "installed"
    if whole.exists():
        return folder
    if npm is None:
        return "needs npm: apt-get install npm"
    folder.mkdir(parents=True, exist_ok=True)
    command = [npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts", *PACKAGES]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S, cwd=folder)
    except subprocess.TimeoutExpired:
        return f"npm did not install CosmJS in {INSTALL_S} s"
    if ended.returncode:
        return f"npm could not install CosmJS: {ended.stderr.strip()[-200:]}"
    whole.touch()
    return folder

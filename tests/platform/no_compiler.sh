#!/usr/bin/env bash
# Installs Skyloom in a fresh Debian without a compiler, asks the doctor for the packet engine, and prints how long steps took.
# Needs root, debootstrap, the network and 4 GB under TMPDIR. `no_compiler.sh --run` plays five seconds of the main scenario too.
#
# Invariant: nothing stays. Mounts live in a mount namespace of this script and end with it; the folder is removed at its end.
set -euo pipefail

if [ "$(id -u)" != 0 ]; then
    echo "no_compiler.sh: expected root, for chroot and mounts; try sudo" >&2
    exit 77
fi
if ! command -v debootstrap >/dev/null; then
    echo "no_compiler.sh: debootstrap is missing; apt-get install debootstrap" >&2
    exit 77
fi
if [ -z "${NO_COMPILER_ROOT:-}" ]; then
    NO_COMPILER_ROOT=$(mktemp -d "${TMPDIR:-/tmp}/skyloom-no-compiler.XXXXXX")
    export NO_COMPILER_ROOT
    child=""
    clean() {  # ends everything inside with its first process, and the mounts with it; removes the folder
        if [ -n "$child" ]; then kill -KILL "$child" 2>/dev/null || true; fi
        wait
        rm -rf --one-file-system "$NO_COMPILER_ROOT" 2>/dev/null || { sleep 2; rm -rf --one-file-system "$NO_COMPILER_ROOT"; }
    }
    trap clean EXIT
    trap 'exit 130' INT TERM
    unshare --mount --propagation private --pid --fork --kill-child -- "$0" "$@" &
    child=$!
    wait "$child"
    exit
fi

root=$NO_COMPILER_ROOT
repository=$(cd "$(dirname "$0")/../.." && pwd)
mirror=""  # debootstrap knows one; a Debian has one of its own
if grep -q '^ID=debian' /etc/os-release; then
    mirror=$(sed -nE 's/^(URIs: *|deb (\[.*\] )?)(https?:[^ ]+).*/\3/p' /etc/apt/sources.list.d/debian.sources \
        /etc/apt/sources.list 2>/dev/null | head -n 1 || true)
fi

fail() { echo "no_compiler.sh: $*" >&2; exit 1; }

timed() {  # timed WORDS COMMAND...: prints how long it took; shows the command's output where it fails
    local words=$1 status=0 TIMEFORMAT="%R %U %S"
    shift
    { time "$@" >"$root/tmp/said" 2>&1; } 2>"$root/tmp/took" || status=$?
    awk -v words="$words" 'END {printf "%7.1f s (%.1f s of CPU)  %s\n", $1, $2 + $3, words}' "$root/tmp/took"
    if [ $status != 0 ]; then
        cat "$root/tmp/said" >&2
        fail "$words: ended with $status"
    fi
}

inside() {  # a command in the other Debian, with what this machine's pip and network need and nothing else of the environment
    local kept
    mapfile -t kept < <(env | grep -E '^(PIP_[A-Z_]+|[A-Za-z]+_proxy|[A-Z]+_PROXY|SSL_CERT_FILE|REQUESTS_CA_BUNDLE)=' || true)
    env -i HOME=/root LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin ${kept[@]+"${kept[@]}"} \
        chroot "$root" /bin/sh -c "cd /root/skyloom && $1"
}

share() {  # the same file or folder at the same place in the other Debian, to read only
    if [ -d "$1" ]; then
        mkdir -p "$root$1"
        mount --bind "$1" "$root$1"
        mount -o remount,bind,ro "$root$1"
    elif [ -f "$1" ]; then
        mkdir -p "$root$(dirname "$1")"
        cp -L "$1" "$root$1"
    fi
}

mkdir -p "$root/tmp"
timed "debootstrap: Debian bookworm with python3, python3-venv, make" \
    debootstrap --variant=minbase --include=python3,python3-venv,make,ca-certificates bookworm "$root" ${mirror:+"$mirror"}
mount --bind "$root" "$root"  # the root of a sandbox must be a mount
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"

# pip inside finds what pip outside finds: its files of configuration, and the folders and files that they name.
for path in /etc/resolv.conf /etc/hosts /etc/pip.conf /etc/ssl/certs/ca-certificates.crt; do share "$path"; done
for folder in /etc/xdg/pip "${HOME:-/root}/.config/pip" "${HOME:-/root}/.pip"; do
    if [ -d "$folder" ]; then
        mkdir -p "$root${folder/#${HOME:-/root}//root}"
        cp -rL "$folder/." "$root${folder/#${HOME:-/root}//root}"
    fi
done
python3 -m pip config list 2>/dev/null | grep -oE "(file://)?/[^' ]+" | sort -u | while read -r named; do
    case $named in
        file://*) share "$(dirname "${named#file://}")" ;;  # pages of an index refer to files beside its folder
        *) if [ ! -e "$root$named" ]; then share "$named"; fi ;;
    esac
done

mkdir -p "$root/root/skyloom"
git -C "$repository" ls-files -z --cached --others --exclude-standard | (cd "$repository" && xargs -0 ls -d 2>/dev/null) |
    tar -C "$repository" -c -T - | tar -C "$root/root/skyloom" -x
for name in cc gcc clang c99 tcc ld as; do
    if inside "command -v $name" >/dev/null; then fail "the other Debian has $name; expected no compiler"; fi
done

asked() {  # what the doctor found of the packet engine; fails where it does not work or was built by another compiler
    inside ".venv/bin/skyloom doctor --json" >"$root/tmp/doctor" || true
    python3 - "$root/tmp/doctor" "$1" <<'PYTHON' || fail "the doctor does not find a packet engine built by $1"
import json, sys
document = json.load(open(sys.argv[1]))
engine = next(entry for entry in document["capabilities"] if entry["name"] == "packet engine")
print(f"           doctor: {engine['found']}; can_run {document['can_run']}")
sys.exit(not (engine["works"] and f"built with {sys.argv[2]}" in engine["found"]))
PYTHON
}

again() { inside "rm -rf .venv build *.egg-info emulator/link/engine/libengine.so"; }

timed "make setup without compiler, nothing cached" inside "make setup"
asked zig
inside "du -sh /root/.cache/* .venv" | sed 's/^/           /'
timed "make setup where nothing changed" inside "make setup"
inside "echo '/* changed */' >> emulator/link/engine/abi.h"
timed "make setup without compiler where a header changed" inside "make setup"
again
timed "make setup without compiler, pip and zig have their caches" inside "make setup"
asked zig
if [ "${1:-}" = --run ]; then timed "make run DURATION=5s" inside "make run DURATION=5s"; fi
inside "rm -f emulator/link/engine/libengine.so"
timed "the engine alone without compiler, cached" inside ".venv/bin/python -m pip install --no-deps -e ."
timed "apt-get install gcc libc6-dev" inside "apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev"
again
timed "make setup with gcc, pip has its cache" inside "make setup"
asked gcc
inside "rm -f emulator/link/engine/libengine.so"
timed "the engine alone with gcc, cached" inside ".venv/bin/python -m pip install --no-deps -e ."
again
inside "rm -rf /root/.cache"
timed "make setup with gcc, nothing cached" inside "make setup"
asked gcc

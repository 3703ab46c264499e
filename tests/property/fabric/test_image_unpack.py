"""Layers of any entries, hostile ones too, become what the model of a file tree says; nothing outside is touched."""

import os
import shutil
import tarfile

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from made_images import (
    docker_files,
    entry,
    file,
    folder,
    hard_link,
    layer,
    symlink,
    tree_of,
    write_archive,
)  # fmt: skip
from oracle import file_tree

from emulator.fabric.image import ImageError, read_image


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    """A folder with a file that nothing may touch, and a place to unpack three levels below."""
    ground = tmp_path_factory.mktemp("ground")
    (ground / "outside" / "etc").mkdir(parents=True)
    (ground / "outside" / "secret").write_text("secret")
    (ground / "b" / "c").mkdir(parents=True)
    (ground / "b" / "a").write_text("kept")
    (ground / "b" / "c" / "a").write_text("kept")
    return ground


OUTSIDE = "OUTSIDE"  # stands for the absolute name of `ground` in what hypothesis shows
part = st.sampled_from(["a", "b", "c"])
inner = st.lists(part, min_size=1, max_size=4).map("/".join)
steps = st.lists(st.sampled_from(["a", "b", "c", "..", ".", ""]), max_size=5).map("/".join)
escapes = st.sampled_from(
    [OUTSIDE, f"{OUTSIDE}/outside", f"{OUTSIDE}/outside/secret", "../../outside", "../../outside/secret",
     "../..", "/", ".", "..", "/..", ""]
)  # fmt: skip
names = st.one_of(
    inner, inner, inner, inner, inner.map("/{}".format), inner.map("./{}/".format),
    st.tuples(inner, st.sampled_from(["outside", "outside/secret", "secret", "c/a"])).map("/".join),
)  # fmt: skip
any_name = st.one_of(*[names] * 40, steps, escapes)
targets = st.one_of(inner, inner.map("/{}".format), steps, steps, escapes).map(lambda text: text or ".")
modes = st.sampled_from([0o644, 0o755, 0o600, 0o4755, 0o2755, 0o1777, 0])
whiteouts = st.tuples(
    st.sampled_from(["", "a/", "b/", "a/b/", "a/b/c/", "/b/"]),
    st.sampled_from([".wh.a", ".wh.b", ".wh.c", ".wh..wh..opq"] * 9 + [".wh.outside", ".wh..", ".wh...", ".wh."]),
).map("".join)
one_entry = st.one_of(
    st.builds(file, any_name, st.binary(max_size=8), modes),
    st.builds(file, any_name, st.binary(max_size=8), modes),
    st.builds(folder, any_name, modes),
    st.builds(symlink, any_name, targets),
    st.builds(symlink, any_name, targets),
    st.builds(hard_link, any_name, st.one_of(inner, any_name)),
    st.builds(file, whiteouts),
    st.builds(entry, any_name, st.just(tarfile.FIFOTYPE), mode=modes),
    st.builds(entry, any_name, st.just(tarfile.CHRTYPE)),
)
layers = st.lists(st.lists(one_entry, max_size=8), min_size=1, max_size=4)


def grounded(layer, ground):
    """The layer with the real name of the ground in place of its sign."""
    found = []
    for info, content in layer:
        name, link = (text.replace(OUTSIDE, str(ground)) for text in (info.name, info.linkname))
        found.append((info.replace(name=name, linkname=link, deep=False), content))
    return found


def everything(ground):
    """All that is in the ground, but for the image's own root: names, kinds, contents, modes and times."""
    found = []
    for path in sorted(ground.rglob("*")):
        if "root" not in path.relative_to(ground).parts:
            stat = path.lstat()
            content = path.read_bytes() if path.is_file() else b""
            times = 0 if path.name == "into" else stat.st_mtime_ns
            found.append((str(path), stat.st_mode, stat.st_nlink, stat.st_uid, times, content))
    return found


def hard_links(root):
    uses = {}
    for path in root.rglob("*"):
        if not path.is_dir() or path.is_symlink():
            uses.setdefault(path.lstat().st_ino, set()).add(str(path.relative_to(root)))
    return sorted(sorted(names) for names in uses.values() if len(names) > 1)


ESCAPE = [[symlink("a", f"{OUTSIDE}/outside")], [file("a/secret", b"x"), file("a/new"), file(".wh.a")]]


@settings(max_examples=150)
@given(layers)
@example(ESCAPE)
@example([[symlink("a", "../../outside"), file("a/secret", b"x"), folder("a/etc", 0o700)]])
@example([[symlink("a", f"{OUTSIDE}/outside")], [file("a/.wh.secret"), file("a/.wh..wh..opq")]])
@example([[symlink("a", f"{OUTSIDE}/outside/secret")], [file("a", b"x")]])
@example([[symlink("a", f"{OUTSIDE}/outside/secret"), hard_link("b", "a"), file("b", b"x")]])
@example([[symlink("a", f"{OUTSIDE}/outside"), hard_link("b", "a/secret")]])
@example([[symlink("a", f"{OUTSIDE}/outside")], [folder("a", 0o700), file("a/secret", b"x")]])
@example([[symlink("a", f"{OUTSIDE}/outside"), entry("a/secret", tarfile.FIFOTYPE, mode=0o644)]])
@example([[symlink("a/b", "/c"), file("a/b/d")]])
@example([[symlink("a/b", "../c"), file("a/b/d")]])
@example([[symlink("a/b", "../../../../outside"), file("a/b/secret", b"x")]])
@example([[symlink("a", "b"), file("b", b"1"), hard_link("c", "a")]])
@example([[*(symlink(f"l{number}", f"l{number + 1}") for number in range(39)), symlink("l39", "."), file("l0/x")]])
@example([[*(symlink(f"l{number}", f"l{number + 1}") for number in range(40)), symlink("l40", "."), file("l0/x")]])
@example([[symlink("a", "a"), file("a/b")]])
@example([[symlink("a", "b/a"), symlink("b", "."), file("a/b")]])
@example([[file("a/b/c")], [file("a/.wh..wh..opq"), file("a/c")], [file("a/d"), file("a/.wh..wh..opq")]])
@example([[file("a/b")], [file("a")], [file("a/b")]])
@example([[file("a/b")], [file("a")], [folder("a"), file("a/c")]])
@example([[file("a/b"), hard_link("a", "a/b")]])
@example([[file("a", b"1"), hard_link("b", "a"), file("a", b"2")]])
@example([[file("a/b", b"1"), symlink("b", "a")], [file("b/.wh.b")]])
def test_unpacking_is_as_the_model_says(ground, layers):
    layers = [grounded(one, ground) for one in layers]
    image = ground / "image.tar"
    write_archive(image, docker_files([layer(*one) for one in layers]))
    into = ground / "b" / "c" / "into"
    into.parent.mkdir(exist_ok=True)
    before = everything(ground)
    parent = into.parent.stat()
    try:
        root = read_image(image).unpack(into).root
        found = tree_of(root), hard_links(root), root.stat().st_mode & 0o7777
    except ImageError:
        found = None
    assert sorted(path.name for path in into.iterdir()) == ["root"]
    shutil.rmtree(into)
    os.utime(into.parent, ns=(parent.st_atime_ns, parent.st_mtime_ns))
    assert everything(ground) == before
    try:
        model = file_tree.unpack(layers)
        expected = *file_tree.described(model), model.mode
    except file_tree.Refused:
        expected = None
    assert found == expected


SEEDS = [
    layer(folder("a"), file("a/b", b"x" * 700), symlink("c", "a"), hard_link("d", "a/b")),
    layer(file("a" * 300, b"y"), file("é/b", b"z", mtime=1.5, uid=1 << 33)),
    layer(file("a" * 300, b"y"), symlink("l", "t" * 200), form=tarfile.GNU_FORMAT),
]


sizes = [b"\x80" + b"\xff" * 11, b"\xff" * 12, b"77777777777\0", b"-0000000001\0"]  # huge ones, and ones below zero
damages = st.one_of(st.binary(min_size=1, max_size=12), st.sampled_from([*sizes, b"x", b"g", b"L", b"K", b"S", b"7"]))


@settings(max_examples=200)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 5000), damages), max_size=4),
    st.one_of(st.none(), st.integers(0, 5000)),
)
def test_damaged_archives_are_errors_and_nothing_else(ground, seed, changes, length):
    """Bytes changed anywhere, with and without right checksums: an image or an ImageError, in the time of its bytes."""
    data = bytearray(seed)
    for at, new in changes:
        data[at % len(data) : at % len(data) + len(new)] = new
    data = bytes(data[:length] if length else data)
    for one in (data, right_checksums(data)):
        folder = ground / "damaged"
        folder.mkdir()
        try:
            read_image(write_archive(folder / "a.tar", docker_files([one]))).unpack(folder / "into")
        except ImageError:
            pass
        assert {path.name for path in folder.iterdir()} <= {"a.tar", "into"}
        (folder / "a.tar").write_bytes(one)
        with pytest.raises(ImageError):
            read_image(folder / "a.tar")
        shutil.rmtree(folder)


def right_checksums(data):
    """The archive with the checksum of each block right, as if each was a header."""
    blocks = []
    for at in range(0, len(data), 512):
        block = data[at : at + 512]
        if block[257:262] == b"ustar" and len(block) == 512:
            total = sum(block[:148]) + sum(block[156:]) + 8 * 32
            block = block[:148] + b"%06o\0 " % total + block[156:]
        blocks.append(block)
    return b"".join(blocks)

"""What each kind of entry becomes, and which layers are refused: bounds, hostile headers, disks that are full."""

import errno
import gzip
import io
import os
import shutil
import subprocess
import tarfile

import pytest
from made_images import (
    docker_files,
    entry,
    file,
    folder,
    hard_link,
    layer,
    oci_files,
    symlink,
    tree_of,
    write_archive,
    write_folder,
)  # fmt: skip

from emulator.fabric.image import ImageError, image, read_image
from emulator.fabric.image.tar import TarStream
from emulator.fabric.image.tree import Tree
from emulator.model.errors import PlatformError


def unpacked(tmp_path, *layers):
    """The root folder that the layers make."""
    path = write_archive(tmp_path / "image.tar", docker_files(list(layers)))
    return read_image(path).unpack(tmp_path / "into").root


def refused(tmp_path, *layers):
    """What an error about the layers says."""
    with pytest.raises(ImageError) as caught:
        unpacked(tmp_path, *layers)
    return str(caught.value)


def test_whiteouts_remove_what_lower_layers_have_wherever_they_stand(tmp_path):
    lower = layer(file("a/x"), file("a/y"), file("b/x"), file("c"), file("d/e/f"), file("k"))
    upper = layer(
        file("a/new"), file("a/.wh..wh..opq"), file("b/.wh.x"), file("c"), file(".wh.c"), file(".wh.d"),
        file("none/.wh.x"), file("k/.wh.x"), file(".wh..wh.plnk"),
    )  # fmt: skip
    assert set(tree_of(unpacked(tmp_path, lower, upper))) == {"a", "a/new", "b", "c", "k"}


def test_whiteouts_go_through_no_link(tmp_path):
    lower = layer(file("usr/lib/x"), symlink("lib", "usr/lib"))
    upper = layer(file("lib/.wh.x"), file("lib/.wh..wh..opq"), file("lib/y"))
    assert set(tree_of(unpacked(tmp_path, lower, upper))) == {"usr", "usr/lib", "usr/lib/x", "usr/lib/y", "lib"}


def test_folders_and_files_replace_each_other(tmp_path):
    first = layer(file("a/b/c"), file("d"), symlink("e", "a"))
    second = layer(file("a", b"now a file"), folder("d"), file("d/x"), folder("e"), file("e/x"))
    tree = tree_of(unpacked(tmp_path, first, second))
    assert tree["a"][:2] == ("file", b"now a file")
    assert tree["e"][0] == "folder"
    assert set(tree) == {"a", "d", "d/x", "e", "e/x"}


def test_the_last_of_two_entries_counts(tmp_path):
    root = unpacked(
        tmp_path, layer(file("a", b"1"), hard_link("b", "a"), file("a", b"2"), folder("c", 0o700), folder("c"))
    )
    assert ((root / "a").read_bytes(), (root / "b").read_bytes()) == (b"2", b"1")
    assert (root / "c").stat().st_mode & 0o777 == 0o755


def test_modes_owners_times_and_links_are_kept(tmp_path):
    entries = [
        file("sudo", b"x", 0o4755, uid=7, gid=8, mtime=1234.5), hard_link("link", "/sudo"), folder("tmp", 0o1777),
        symlink("absolute", "/etc/passwd"), entry("pipe", tarfile.FIFOTYPE, mode=0o622),
    ]  # fmt: skip
    before = os.umask(0o077)
    try:
        root = unpacked(tmp_path, layer(*entries), layer(file("deep/er/x")))
    finally:
        os.umask(before)
    stat = (root / "sudo").stat()
    assert (stat.st_mode & 0o7777, stat.st_mtime, stat.st_nlink) == (0o4755, 1234.5, 2)
    assert tree_of(root)["absolute"] == ("link", "/etc/passwd")
    assert tree_of(root)["pipe"] == ("fifo", 0o622)
    assert tree_of(root)["tmp"] == ("folder", 0o1777)
    assert tree_of(root)["deep/er"] == ("folder", 0o755)
    if os.geteuid() == 0:
        assert (stat.st_uid, stat.st_gid) == (7, 8)


def test_owners_that_cannot_be_given_are_said(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EINVAL, "Invalid argument")  # what a user namespace with one user says

    monkeypatch.setattr(os, "fchown", refuse)
    path = write_archive(tmp_path / "a.tar", docker_files([layer(file("a"), folder("b"))]))
    assert read_image(path).unpack(tmp_path / "into").omitted == ("2 owners (this user may not give files away)",)


@pytest.mark.skipif(not shutil.which("tar"), reason="no GNU tar here (Debian: tar)")
@pytest.mark.parametrize("form", [["gnu"], ["pax", "0.0"], ["pax", "0.1"], ["pax", "1.0"]], ids=" ".join)
def test_sparse_files_keep_their_holes(tmp_path, form):
    with open(tmp_path / "sparse", "wb") as made:
        made.write(b"start")
        made.seek(1 << 33)
        made.write(b"end" * 2000)
        made.truncate((1 << 33) + (1 << 20))
    (tmp_path / "after").write_bytes(b"after")
    options = [f"--format={form[0]}", *(f"--sparse-version={version}" for version in form[1:])]
    subprocess.run(["tar", "-S", *options, "-cf", "layer.tar", "sparse", "after"], cwd=tmp_path, check=True)
    root = unpacked(tmp_path, (tmp_path / "layer.tar").read_bytes())
    stat = (root / "sparse").stat()
    assert (stat.st_size, stat.st_blocks < 1000) == ((1 << 33) + (1 << 20), True)
    with open(root / "sparse", "rb") as made:
        assert made.read(6) == b"start\0"
        made.seek((1 << 33) + 5998)
        assert made.read(4) == b"nd\0\0"
    assert (root / "after").read_bytes() == b"after"


def test_names_may_be_long_and_of_any_bytes(tmp_path):
    names = ["é/" + "x" * 200 + "/" + "y" * 200, "not utf-8 \udcff", "line\nend"]
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        root = unpacked(tmp_path, layer(*(file(name, b"1") for name in names), form=form))
        assert set(names) < set(tree_of(root))
        shutil.rmtree(tmp_path / "into")


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([file("../x")], "'../x': it holds `..`; expected an entry below the root"),
        ([file("a/../../x")], "it holds `..`"),
        ([hard_link("a", "../../etc/passwd")], "it holds `..`"),
        ([file("a/.wh...")], "a whiteout of no file"),
        ([file("a/.wh..")], "a whiteout of no file"),
        ([file("/")], "the root itself"),
        ([hard_link("a", "b")], "'a': No such file or directory; expected a link to a file that stands before it"),
        ([hard_link("a", "/etc/passwd")], "expected a link to a file that stands before it"),
        ([folder("b"), hard_link("a", "b")], "expected a link to a file, not to a folder"),
        ([symlink("a", "b"), symlink("b", "a"), file("a/x")], "expected at most 40 links in a name"),
        ([file("a"), file("a/b")], "a is no folder; expected folders above an entry"),
        ([file("x" * 256)], "expected names of 255 bytes, at most 128 folders in each other"),
        ([file("a/" * 130 + "x")], "more than 128 folders in each other"),
        ([file("abcdefghi/" * 410 + "x")], "it is longer than 4096 bytes"),
        ([file("a", mtime=1e30)], "'a': "),
        ([file("a", uid=1 << 40)], "'a': "),
        ([entry("a", b"Z")], "unknown type b'Z'"),
        ([file("a", pax_headers={"comment": "x" * (1 << 21)})], "headers of more than 1,048,576 bytes"),
        ([file("a\x1b[2J/../b")], "'a\\x1b[2J/../b'"),
    ],
)  # fmt: skip
def test_what_cannot_be_unpacked_is_named(tmp_path, entries, words):
    said = refused(tmp_path, layer(*entries))
    assert words in said
    assert "layer 1 of 1" in said
    assert "\x1b" not in said


def test_headers_that_nest_or_lead_backwards_end_the_reading(tmp_path):
    pax = layer(file("a", pax_headers={"comment": "x"}))[:1024]
    assert "damaged one" in refused(tmp_path, pax * 2000)
    shutil.rmtree(tmp_path / "into")
    raw = bytearray(layer(file("a"), file("b")))
    raw[124:136] = b"\xff" * 10 + b"\xfc\x00"  # -1024 bytes
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw[:512])
    assert "a header that leads backwards" in refused(tmp_path, bytes(raw))


def test_a_damaged_header_is_not_the_end(tmp_path):
    raw = bytearray(layer(file("a", b"1"), file("b")))
    raw[1024] ^= 1
    assert "a damaged header at byte 1,024" in refused(tmp_path, bytes(raw))


def test_content_that_ends_early_is_not_taken_for_whole():
    stream = TarStream(io.BytesIO(b"12345"), "a layer that changed after it was verified")
    assert b"".join(stream.content(3)) == b"123"
    with pytest.raises(ImageError, match="an end in the middle of a file"):
        list(stream.content(3))


def test_a_pipe_is_no_file_to_read(tmp_path):
    os.mkfifo(tmp_path / "passwd")
    with Tree(tmp_path) as tree, pytest.raises(OSError, match="no regular file"):
        tree.open_file(["passwd"])


def test_layers_have_bounds_on_bytes_and_entries(tmp_path, monkeypatch):
    monkeypatch.setattr(image, "MAX_BYTES", 1 << 20)
    bomb = layer(file("a", b"\0" * (1 << 20)))
    path = write_folder(tmp_path / "bomb", oci_files([bomb], compress="gzip"))
    assert sum(one.stat().st_size for one in path.rglob("*") if one.is_file()) < 20_000
    with pytest.raises(ImageError, match="more bytes than an image may have"):
        read_image(path).unpack(tmp_path / "into")
    assert tree_of(tmp_path / "into/root") == {}
    halves = [layer(file("a", b"\0" * (600 << 10))), layer(file("b", b"\1" * (600 << 10)))]
    path = write_folder(tmp_path / "halves", oci_files(halves, compress="gzip"))
    with pytest.raises(ImageError, match=r"layer 2 of 2: more bytes"):
        read_image(path).unpack(tmp_path / "into-2")
    monkeypatch.setattr(image, "MAX_ENTRIES", 3)
    shutil.rmtree(tmp_path / "into")
    assert "layer 2 of 2: more than 3 entries" in refused(tmp_path, *[layer(file("a"), file("b"))] * 2)
    shutil.rmtree(tmp_path / "into")
    assert "more files and folders than" in refused(tmp_path, layer(file("a/b/c/d/e/f/g/h")))


def test_a_gzip_stream_that_ends_early_is_an_error(tmp_path):
    whole = gzip.compress(layer(file("a", os.urandom(3000))))
    for cut in (whole[:20], whole[:-9], whole[:-4] + b"xxxx"):
        said = refused(tmp_path, cut)
        assert "damaged" in said or "cut off" in said
        shutil.rmtree(tmp_path / "into")


def test_a_layer_by_zstd_is_read_where_python_can(tmp_path):
    library = pytest.importorskip("backports.zstd", reason="no zstd in this Python")
    tar = layer(file("a", b"1"))
    files = docker_files([tar])
    name = next(name for name in files if name.endswith("layer.tar"))
    files[name] = library.compress(tar)
    path = write_archive(tmp_path / "a.tar", files)
    assert set(tree_of(read_image(path).unpack(tmp_path / "into").root)) == {"a"}


def test_a_full_disk_is_not_the_image_s_fault(tmp_path, monkeypatch):
    path = write_archive(tmp_path / "a.tar", docker_files([layer(file("a", b"1"))]))
    found = read_image(path)

    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", refuse)
    with pytest.raises(PlatformError, match=r"No space left on device\); make room"):
        found.unpack(tmp_path / "into")


def test_the_working_folder_is_made_where_no_layer_has_it(tmp_path):
    layers = [layer(symlink("app", "/srv"))]
    path = write_archive(tmp_path / "a.tar", docker_files(layers, WorkingDir="/app/data"))
    assert tree_of(read_image(path).unpack(tmp_path / "into").root)["srv/data"] == ("folder", 0o755)
    path = write_archive(tmp_path / "b.tar", docker_files(layers, WorkingDir="/../data"))
    with pytest.raises(ImageError, match=r"working folder: '/../data': it holds `..`"):
        read_image(path).unpack(tmp_path / "into-b")

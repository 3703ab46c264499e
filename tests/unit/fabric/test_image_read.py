"""Images are read from all their forms, with every digest verified, and bad ones are told from good ones."""

import json
import os
import tarfile

import pytest
from made_images import (
    ARCHITECTURE,
    BUSYBOX,
    both_files,
    busybox_layer,
    configuration,
    digest,
    docker_files,
    entry,
    file,
    folder,
    layer,
    oci_files,
    symlink,
    tree_of,
    write_archive,
    write_folder,
)  # fmt: skip

from emulator.fabric.image import ImageError, account_of, read_image
from emulator.model.errors import EXIT_DATA

SETTINGS = {
    "Entrypoint": ["/bin/busybox"],
    "Cmd": ["echo", "hello"],
    "Env": ["PATH=/bin", "EMPTY=", "WITH=a=b"],
    "User": "web",
    "WorkingDir": "/srv",
    "ExposedPorts": {"2379/tcp": {}, "53/udp": {}},
}
LAYERS = [layer(folder("etc"), file("etc/a", b"1")), layer(file("etc/b", b"2"))]
OTHER = "s390x" if ARCHITECTURE != "s390x" else "amd64"


def forms(tmp_path):
    return {
        "layout": write_folder(tmp_path / "layout", oci_files(LAYERS, **SETTINGS)),
        "layout, gzip": write_folder(tmp_path / "gzip", oci_files(LAYERS, compress="gzip", **SETTINGS)),
        "layout in a tar": write_archive(tmp_path / "layout.tar", oci_files(LAYERS, compress="gzip", **SETTINGS)),
        "docker, old": write_archive(tmp_path / "old.tar", docker_files(LAYERS, **SETTINGS)),
        "docker, new": write_archive(tmp_path / "new.tar", both_files(LAYERS, **SETTINGS)),
        "docker, in a folder": write_folder(tmp_path / "old", docker_files(LAYERS, **SETTINGS)),
        "of several platforms": write_folder(
            tmp_path / "multi",
            oci_files(LAYERS, platforms=(f"linux/{OTHER}", f"linux/{ARCHITECTURE}", "unknown/unknown"), **SETTINGS),
        ),
    }


def test_all_forms_say_and_hold_the_same(tmp_path):
    trees = []
    for form, path in forms(tmp_path).items():
        image = read_image(path)
        assert image.architecture == ARCHITECTURE, form
        assert image.entry_point == ("/bin/busybox",)
        assert image.arguments() == ("/bin/busybox", "echo", "hello")
        assert image.arguments(["ls"]) == ("/bin/busybox", "ls")
        assert image.environment == {"PATH": "/bin", "EMPTY": "", "WITH": "a=b"}
        assert (image.user, image.working_folder) == ("web", "/srv")
        assert image.exposed_ports == ("2379/tcp", "53/udp")
        unpacked = image.unpack(tmp_path / f"into {form}")
        assert unpacked.omitted == ()
        assert (tmp_path / f"into {form}").stat().st_mode & 0o777 == 0o700
        trees.append(tree_of(unpacked.root))
    assert all(tree == trees[0] for tree in trees)
    assert trees[0]["etc/b"] == ("file", b"2", 0o644)


def test_a_root_folder_is_an_image_and_stays_where_it_is(tmp_path):
    (tmp_path / "root" / "bin").mkdir(parents=True)
    image = read_image(tmp_path / "root")
    assert (image.arguments(), image.architecture, image.working_folder) == ((), "", "/")
    assert image.unpack(tmp_path / "into").root == tmp_path / "root"
    assert not (tmp_path / "into").exists()


def test_null_stands_for_absence(tmp_path):
    nothing = dict.fromkeys(("Entrypoint", "Cmd", "Env", "User", "WorkingDir", "ExposedPorts"))
    image = read_image(write_folder(tmp_path / "a", oci_files(LAYERS, **nothing)))
    assert (image.arguments(), image.environment, image.user, image.working_folder) == ((), {}, "", "/")
    image = read_image(
        write_folder(tmp_path / "b", oci_files(LAYERS, config={**configuration(LAYERS), "config": None}))
    )
    assert image.arguments() == ()


def test_docker_links_the_layers_that_it_wrote_before(tmp_path):
    files = docker_files([LAYERS[0], LAYERS[0]])
    names = json.loads(files["manifest.json"])[0]["Layers"]
    entries = [file(name, content) for name, content in files.items() if name != names[1]]
    path = tmp_path / "linked.tar"
    path.write_bytes(layer(*entries, symlink(names[1], f"../{names[0]}")))
    assert "etc/a" in tree_of(read_image(path).unpack(tmp_path / "into").root)


def manifest_of(files):
    """The names of manifest, configuration and first layer in an OCI layout."""
    name = lambda descriptor: "blobs/sha256/" + descriptor["digest"][7:]  # noqa: E731
    manifest = name(json.loads(files["index.json"])["manifests"][0])
    value = json.loads(files[manifest])
    return manifest, name(value["config"]), name(value["layers"][0])


def changed(files, name, change, manifest=""):
    """The layout with a JSON blob changed, and all digests above it made right again."""
    value = json.loads(files[name])
    change(value)
    new = json.dumps(value).encode()
    text = {key: (new if key == name else data) for key, data in files.items()}
    manifest = manifest or manifest_of(files)[0]
    if name == "index.json":
        return text
    old, right = digest(files[name]), digest(new)
    text["blobs/sha256/" + right[7:]] = new
    above = "index.json" if name == manifest else manifest
    return changed(text, above, lambda value: _replace(value, old, right, len(new)), manifest)


def _replace(value, old, new, size):
    for descriptor in [*value.get("manifests", ()), *value.get("layers", ()), value.get("config") or {}]:
        if descriptor.get("digest") == old:
            descriptor.update(digest=new, size=size)


@pytest.mark.parametrize("which", [0, 1, 2], ids=["manifest", "configuration", "layer"])
@pytest.mark.parametrize("how", ["changed", "missing", "cut off"])
def test_each_blob_is_verified(tmp_path, which, how):
    files = oci_files(LAYERS, compress="gzip")
    name = manifest_of(files)[which]
    if how == "missing":
        del files[name]
    else:
        files[name] = files[name][:-5] if how == "cut off" else files[name][:-1] + bytes([files[name][-1] ^ 1])
    with pytest.raises(ImageError, match="no file blobs" if how == "missing" else "content with digest") as caught:
        read_image(write_folder(tmp_path / "a", files)).unpack(tmp_path / "into")
    assert name in str(caught.value)
    assert caught.value.exit_code == EXIT_DATA


def test_the_tar_of_a_layer_has_the_digest_that_the_configuration_tells(tmp_path):
    files = docker_files(LAYERS)
    files[f"{1:064x}/layer.tar"] = layer(file("etc/b", b"3"))
    with pytest.raises(ImageError, match="layer 2 of 2: content with digest"):
        read_image(write_archive(tmp_path / "a.tar", files)).unpack(tmp_path / "into")


@pytest.mark.parametrize(
    ("where", "change", "words"),
    [
        ("config", {"architecture": OTHER}, f"an image for linux/{OTHER}; expected one for linux/{ARCHITECTURE}"),
        ("config", {"os": "windows"}, "an image for windows/"),
        ("config", {"rootfs": {"diff_ids": []}}, "0 diff_ids; expected one for each of 2"),
        ("config", {"rootfs": {"diff_ids": ["sha256:../../../etc/passwd", "md5:1"]}}, "digest 'sha256:../"),
        ("config", {"config": {"Env": "PATH"}}, "config.Env: Input should be a valid list"),
        ("config", {"config": {"Env": ["=x"]}}, "a variable without a name"),
        ("config", {"config": {"Cmd": ["a\0b"]}}, "a NUL in a word"),
        ("config", {"config": {"User": 7}}, "config.User: Input should be a valid string"),
        ("manifest", {"config": None}, "config: Input should be"),
        ("manifest", {"layers": [{"digest": "sha256:..", "size": 1}] * 2}, "a layer of type ''"),
        ("index.json", {"manifests": []}, "images for no platform"),
        ("index.json", {"manifests": [{"digest": "sha256:/etc/passwd", "size": 1}]}, "an entry of type ''"),
        ("index.json", {"manifests": {}}, "manifests: Input should be a valid list"),
        ("oci-layout", {"imageLayoutVersion": "2.0.0"}, "imageLayoutVersion '2.0.0'; expected version 1"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(tmp_path, where, change, words):
    files = oci_files(LAYERS)
    manifest, config, _ = manifest_of(files)
    name = {"config": config, "manifest": manifest}.get(where, where)
    files = changed(files, name, lambda value: value.update(change)) if where != "oci-layout" else {
        **files, name: json.dumps(change).encode()}  # fmt: skip
    with pytest.raises(ImageError) as caught:
        read_image(write_folder(tmp_path / "a", files))
    assert words in str(caught.value)


def test_several_images_are_not_chosen_from(tmp_path):
    files = docker_files(LAYERS)
    one = json.loads(files["manifest.json"])[0]
    files["manifest.json"] = json.dumps([one, {**one, "Config": "b.json", "RepoTags": ["b:1"]}]).encode()
    with pytest.raises(ImageError, match=r"2 images \(b:1, test:latest\); expected one"):
        read_image(write_archive(tmp_path / "a.tar", files))


def test_an_index_without_this_machine_names_its_platforms(tmp_path):
    with pytest.raises(ImageError, match=f"images for linux/{OTHER}, windows/amd64; expected one for linux/"):
        read_image(write_folder(tmp_path / "a", oci_files(LAYERS, platforms=(f"linux/{OTHER}", "windows/amd64"))))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no tar archive"),
        (b"hello" * 300, "no tar archive"),
        (b"\x1f\x8b\x08" + b"\0" * 600, "compressed by gzip; expected the plain tar"),
        (b"\0" * 10240, "neither index.json nor manifest.json"),
        (layer(file("manifest.json", b"[" * 200_000)), "no JSON"),
        (layer(file("manifest.json", b"{}")), "no list of images"),
        (layer(file("manifest.json", b"\xff\xfe")), "no JSON"),
        (layer(file("manifest.json", b" " * (4 << 20) + b"[]")), "more than 4,194,304 bytes"),
        (layer(symlink("manifest.json", "a"), symlink("a", "manifest.json")), "no file manifest.json"),
        (layer(symlink("manifest.json", "/etc/hosts")), "no file manifest.json"),
        (layer(file("manifest.json", b'[{"Config": "/etc/passwd", "Layers": []}]')), "no file /etc/passwd"),
    ],
)  # fmt: skip
def test_other_archives_are_no_images(tmp_path, content, words):
    path = tmp_path / "a.tar"
    path.write_bytes(content)
    with pytest.raises(ImageError) as caught:
        read_image(path)
    assert words in str(caught.value)


def test_an_archive_cut_off_anywhere_is_an_error(tmp_path):
    whole = write_archive(tmp_path / "a.tar", docker_files(LAYERS)).read_bytes()
    path = tmp_path / "cut.tar"
    for length in range(0, len(whole.rstrip(b"\0")), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(ImageError):
            read_image(path).unpack(tmp_path / f"into-{length}")


def test_folders_lead_to_nothing_else(tmp_path):
    with pytest.raises(ImageError, match="no such file"):
        read_image(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageError, match="a folder with neither index"):
        read_image(tmp_path / "empty")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ImageError, match="a pipe or a device"):
        read_image(tmp_path / "pipe")
    files = docker_files(LAYERS)
    files["manifest.json"] = files["manifest.json"].replace(b'"Config": "', b'"Config": "../')
    with pytest.raises(ImageError, match=r"a reference to \.\./"):
        read_image(write_folder(tmp_path / "out", files))


def test_a_configuration_without_an_end_is_not_read_into_memory(tmp_path):
    path = write_folder(tmp_path / "image", docker_files(LAYERS))
    manifest = json.loads((path / "manifest.json").read_text())
    manifest[0]["Config"] = "endless.json"
    (path / "manifest.json").write_text(json.dumps(manifest))
    (path / "endless.json").touch()
    os.truncate(path / "endless.json", 1 << 42)
    with pytest.raises(ImageError, match=r"endless\.json: more than 4,194,304 bytes"):
        read_image(path)


def test_a_layer_by_zstd_is_named_where_it_cannot_be_read(tmp_path, monkeypatch):
    monkeypatch.setattr("emulator.fabric.image.image._ZSTD", ("no_such_module",))
    files = docker_files([b"\x28\xb5\x2f\xfd" + b"\0" * 60])
    with pytest.raises(ImageError, match=r"type application/vnd\.docker\S+, compressed by zstd"):
        read_image(write_archive(tmp_path / "a.tar", files)).unpack(tmp_path / "into")


@pytest.mark.skipif(not BUSYBOX.exists(), reason="no busybox here (Debian: busybox-static)")
@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", (0, 0, (), "/root")), ("root", (0, 0, (), "/root")), ("web", (1000, 100, (200,), "/srv")),
        ("1000", (1000, 100, (200,), "/srv")), ("77", (77, 0, (), "/")), ("web:root", (1000, 0, (), "/srv")),
        ("web:5", (1000, 5, (), "/srv")), ("5:6", (5, 6, (), "/")),
    ],
)  # fmt: skip
def test_the_user_is_looked_up_in_the_image(tmp_path, user, expected):
    path = write_archive(tmp_path / "a.tar", docker_files([busybox_layer("sh")], User=user))
    image = read_image(path)
    account = account_of(image.unpack(tmp_path / "into").root, image.user)
    assert (account.user, account.group, account.groups, account.home) == expected


@pytest.mark.parametrize("user", ["nobody", "-1", "4294967295", "web:none", "１"])
def test_unknown_users_are_errors(tmp_path, user):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("web:x:1000:100::/srv:\nbad\nnobody:x:-5:0::/:\n")
    with pytest.raises(ImageError, match="expected a number, or a name in /etc/"):
        account_of(tmp_path, user)


@pytest.mark.parametrize("target", ["/outside", "../../outside", "fifo", "passwd", "/etc"])
def test_passwd_of_the_image_is_not_that_of_the_host(tmp_path, target):
    (tmp_path / "outside").write_text("web:x:5:5::/:\n")
    (tmp_path / "root/etc").mkdir(parents=True)
    os.mkfifo(tmp_path / "root/etc/fifo")
    (tmp_path / "root/etc/passwd").symlink_to(target)
    with pytest.raises(ImageError):
        account_of(tmp_path / "root", "web")
    (tmp_path / "root/outside").write_text("web:x:6:6::/:\n")
    if target.endswith("outside"):
        assert account_of(tmp_path / "root", "web").user == 6


def test_device_nodes_are_left_out_and_said(tmp_path):
    devices = [entry(f"dev/{number}", tarfile.CHRTYPE, devmajor=1, devminor=3) for number in range(3)]
    image = read_image(write_archive(tmp_path / "a.tar", docker_files([layer(*devices)])))
    unpacked = image.unpack(tmp_path / "into")
    assert unpacked.omitted == ("3 device nodes (a node has those of its own /dev)",)
    assert tree_of(unpacked.root) == {}

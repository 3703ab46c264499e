"""Images that tests make: OCI layouts, `docker save` archives of both forms, and layers of any entries.

An entry is a `tarfile.TarInfo` with its content. `layer` writes entries as they are, however hostile their names.
"""

import gzip
import hashlib
import io
import json
import os
import platform
import tarfile
from pathlib import Path

BUSYBOX = Path("/usr/bin/busybox")  # Debian's busybox-static
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
TIME_S = 1_700_000_000
OCI = "application/vnd.oci.image."
INDEX, MANIFEST, CONFIG, LAYER = (
    f"{OCI}index.v1+json",
    f"{OCI}manifest.v1+json",
    f"{OCI}config.v1+json",
    f"{OCI}layer.v1.tar",
)


def entry(name, kind=tarfile.REGTYPE, content=b"", link="", mode=None, **fields):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mtime, info.size = kind, link, TIME_S, len(content)
    info.mode = mode if mode is not None else 0o755 if kind == tarfile.DIRTYPE else 0o644
    for key, value in fields.items():
        setattr(info, key, value)
    return info, content


def file(name, content=b"", mode=0o644, **fields):
    return entry(name, content=content, mode=mode, **fields)


def folder(name, mode=0o755, **fields):
    return entry(name, tarfile.DIRTYPE, mode=mode, **fields)


def symlink(name, target):
    return entry(name, tarfile.SYMTYPE, link=target)


def hard_link(name, target):
    return entry(name, tarfile.LNKTYPE, link=target)


def layer(*entries, form=tarfile.PAX_FORMAT):
    """The bytes of a tar archive."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=form, encoding="utf-8", errors="surrogateescape") as archive:
        for info, content in entries:
            archive.addfile(info, io.BytesIO(content))
    return raw.getvalue()


def busybox_layer(*applets, further=()):
    """/bin/busybox, with links for applets, /etc/passwd and /etc/group with the user `web`, and further entries."""
    return layer(
        folder("bin"), file("bin/busybox", BUSYBOX.read_bytes(), 0o755),
        *(symlink(f"bin/{applet}", "busybox") for applet in applets),
        folder("etc"), file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nweb:x:1000:100:Web:/srv:/bin/sh\n"),
        file("etc/group", b"root:x:0:\nusers:x:100:\nlogs:x:200:web,other\n"),
        folder("tmp", 0o1777), folder("srv"), *further,
    )  # fmt: skip


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def configuration(layers, architecture=ARCHITECTURE, system="linux", **settings):
    return {"architecture": architecture, "os": system, "config": settings,
            "rootfs": {"type": "layers", "diff_ids": [digest(one) for one in layers]}}  # fmt: skip


def oci_files(layers, compress="", config=None, platforms=(), **settings):
    """The files of an OCI layout by name: one image, or with `platforms` one more behind an index for each."""
    files = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}

    def blob(data, media_type, **further):
        if not isinstance(data, bytes):
            data = json.dumps(data).encode()
        files["blobs/sha256/" + digest(data)[7:]] = data
        return {"mediaType": media_type, "digest": digest(data), "size": len(data), **further}

    def image(config, **further):
        stored = [blob(gzip.compress(one, 1, mtime=0) if compress == "gzip" else one,
                       LAYER + ("+gzip" if compress == "gzip" else "")) for one in layers]  # fmt: skip
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": blob(config, CONFIG), "layers": stored}
        return blob(manifest, MANIFEST, **further)

    if platforms:
        images = [image(configuration(layers, architecture, system, **settings),
                        platform={"architecture": architecture, "os": system})
                  for system, architecture in (one.split("/") for one in platforms)]  # fmt: skip
        top = [blob({"schemaVersion": 2, "mediaType": INDEX, "manifests": images}, INDEX)]
    else:
        top = [image(config or configuration(layers, **settings))]
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": top}).encode()
    return files


def docker_files(layers, tags=("test:latest",), config=None, **settings):
    """The files of a `docker save` archive as Docker before 25 wrote them."""
    raw = json.dumps(config or configuration(layers, **settings)).encode()
    name = digest(raw)[7:] + ".json"
    names = [f"{number:064x}/layer.tar" for number, _ in enumerate(layers)]
    manifest = [{"Config": name, "RepoTags": list(tags), "Layers": names}]
    return {name: raw, **dict(zip(names, layers, strict=True)), "manifest.json": json.dumps(manifest).encode()}


def both_files(layers, **settings):
    """The files of a `docker save` archive as Docker since 25 writes them: an OCI layout, and manifest.json."""
    files = oci_files(layers, **settings)
    index = json.loads(files["index.json"])["manifests"][0]
    manifest = json.loads(files["blobs/sha256/" + index["digest"][7:]])
    path = lambda descriptor: "blobs/sha256/" + descriptor["digest"][7:]  # noqa: E731 - once
    docker = [{"Config": path(manifest["config"]), "RepoTags": ["test:latest"],
               "Layers": [path(one) for one in manifest["layers"]]}]  # fmt: skip
    return files | {"manifest.json": json.dumps(docker).encode()}


def write_folder(path, files):
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def write_archive(path, files):
    path.write_bytes(layer(*(file(name, content) for name, content in files.items())))
    return path


def tree_of(root):
    """What a folder holds: names with their kind, content or target, and mode."""
    found = {}
    for path in sorted(root.rglob("*")):
        name, mode = str(path.relative_to(root)), path.lstat().st_mode & 0o7777
        if path.is_symlink():
            found[name] = ("link", os.readlink(path))  # noqa: PTH115 - as it is written
        elif path.is_dir():
            found[name] = ("folder", mode)
        elif path.is_file():
            found[name] = ("file", path.read_bytes(), mode)
        else:
            found[name] = ("fifo", mode)
    return found

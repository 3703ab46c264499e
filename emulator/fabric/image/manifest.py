"""Manifests: from a bundle's first file to one configuration and its layers, each step verified.

Formats: OCI image layout 1.x with index, manifest and configuration; Docker's manifest list and manifest, version 2
schema 2; `manifest.json` of `docker save` (image specification 1.2). Docker since version 25 writes both forms into
one archive, of which the OCI form is read.

Invariant: what comes out is for this machine's architecture and for Linux, and names as many layers as digests.
"""

from __future__ import annotations

import hashlib
import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from emulator.fabric.image.bundle import JSON_BYTES, Bundle, blob_name, check_digest, parse_json, read_blob, read_json
from emulator.fabric.image.errors import ImageError

INDEX_FILE, LAYOUT_FILE, DOCKER_FILE = "index.json", "oci-layout", "manifest.json"
LAYERS = 1000
_INDEXES = {
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
}
_MANIFESTS = {
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
}
_CONFIGURATIONS = {
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
}
_LAYER = re.compile(r"application/vnd\.(oci|docker)\.image\.[a-z.]*(v1\.tar|diff\.tar)([+.](gzip|zstd))?")
_REFERENCES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
_ARCHITECTURES = {
    "x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armv6l": "arm", "i686": "386", "i386": "386",
    "ppc64le": "ppc64le", "s390x": "s390x", "riscv64": "riscv64", "loongarch64": "loong64",
}  # fmt: skip


class _Table(BaseModel):
    """Part of a JSON file. Keys that nobody asks for are left alone; null means that a key is not there."""

    model_config = ConfigDict(strict=True, frozen=True)


def _without_null(kind: type[list[Any]] | type[dict[Any, Any]]) -> BeforeValidator:
    return BeforeValidator(lambda value: kind() if value is None else value)


Texts = Annotated[list[str], _without_null(list)]
TextTable = Annotated[dict[str, str], _without_null(dict)]
Text = Annotated[str, BeforeValidator(lambda value: "" if value is None else value)]


class Platform(_Table):
    architecture: str
    os: str
    variant: Text = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))


class Descriptor(_Table):
    media_type: Text = Field("", alias="mediaType")
    digest: str
    size: int
    platform: Platform | None = None
    annotations: TextTable = {}

    @property
    def reference(self) -> str:
        return next((self.annotations[key] for key in _REFERENCES if key in self.annotations), self.digest[:19])


class _Index(_Table):
    manifests: list[Descriptor]


class _Manifest(_Table):
    config: Descriptor
    layers: Annotated[list[Descriptor], Field(max_length=LAYERS)]


class _DockerEntry(_Table):
    config: str = Field(alias="Config")
    repo_tags: Texts = Field([], alias="RepoTags")
    layers: Annotated[list[str], Field(max_length=LAYERS), _without_null(list)] = Field(alias="Layers")


class Settings(_Table):
    """How the image wants to be run."""

    entry_point: Texts = Field([], alias="Entrypoint")
    command: Texts = Field([], alias="Cmd")
    environment: Texts = Field([], alias="Env")
    user: Text = Field("", alias="User")
    working_folder: Text = Field("", alias="WorkingDir")
    exposed_ports: Annotated[dict[str, Any], _without_null(dict)] = Field({}, alias="ExposedPorts")


class _RootFs(_Table):
    diff_ids: list[str]


class Configuration(_Table):
    architecture: str
    os: str
    variant: Text = ""
    rootfs: _RootFs
    config: Annotated[Settings, BeforeValidator(lambda value: {} if value is None else value)] = (
        Settings.model_validate({})
    )


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: its file in the bundle, the digest of the file ("" where only `diff_id` is known), of its tar."""

    name: str
    digest: str
    diff_id: str
    media_type: str


def read_manifest(bundle: Bundle, architecture: str = "") -> tuple[Configuration, tuple[Layer, ...]]:
    """The configuration and the layers of the one image for `architecture` ("": this machine's).

    Raises ImageError where a file is missing, damaged or of another digest, or where no image or several images fit.
    """
    architecture = architecture or machine_architecture()
    if bundle.holds(INDEX_FILE):
        configuration, layers = _read_oci(bundle, architecture)
    elif bundle.holds(DOCKER_FILE):
        configuration, layers = _read_docker(bundle)
    else:
        raise ImageError(
            str(bundle.path),
            f"neither {INDEX_FILE} nor {DOCKER_FILE}",
            "an OCI image layout, a `docker save` archive, or a folder with an unpacked root in it",
        )
    if (configuration.os, configuration.architecture) != ("linux", architecture):
        found = f"an image for {configuration.os}/{configuration.architecture}"
        raise _other_machine(bundle.path, found, architecture)
    for layer in layers:
        bundle.open(layer.name).close()
    return configuration, layers


def machine_architecture() -> str:
    """This machine's architecture by the name that images use, such as amd64."""
    machine = platform.machine()
    return _ARCHITECTURES.get(machine, machine)


def _read_oci(bundle: Bundle, architecture: str) -> tuple[Configuration, tuple[Layer, ...]]:
    if bundle.holds(LAYOUT_FILE):
        version = read_json(bundle, LAYOUT_FILE)
        version = version.get("imageLayoutVersion") if isinstance(version, dict) else None
        if not isinstance(version, str) or not version.startswith("1."):
            raise ImageError(f"{bundle.path}: {LAYOUT_FILE}", f"imageLayoutVersion {version!r}", "version 1")
    index = _model(bundle, INDEX_FILE, _Index, read_json(bundle, INDEX_FILE))
    found = list(_manifests(bundle, index, set()))
    fit = [
        one
        for one in found
        if one.platform is None or (one.platform.os, one.platform.architecture) == ("linux", architecture)
    ]
    if not fit:
        known = sorted({str(one.platform) for one in found if one.platform and one.platform.os != "unknown"})
        raise _other_machine(bundle.path, f"images for {', '.join(known) or 'no platform'}", architecture)
    variant = min(one.platform.variant if one.platform else "" for one in fit)  # the lowest runs on all machines
    fit = [one for one in fit if (one.platform.variant if one.platform else "") == variant]
    if len(fit) > 1:
        raise _several(bundle.path, [one.reference for one in fit])
    name = blob_name(str(bundle.path), fit[0].digest)
    manifest = _model(bundle, name, _Manifest, parse_json(bundle, name, read_blob(bundle, fit[0].digest)))
    if manifest.config.media_type not in _CONFIGURATIONS:
        raise ImageError(f"{bundle.path}: {name}", f"a configuration of type {manifest.config.media_type!r}",
                         "that of an image; other artifacts cannot be run")  # fmt: skip
    config = blob_name(str(bundle.path), manifest.config.digest)
    configuration = _configuration(bundle, config, read_blob(bundle, manifest.config.digest), len(manifest.layers))
    for layer in manifest.layers:
        if not _LAYER.fullmatch(layer.media_type):
            raise ImageError(f"{bundle.path}: {name}", f"a layer of type {layer.media_type!r}",
                             "a tar archive: plain, gzip or zstd")  # fmt: skip
    return configuration, tuple(
        Layer(blob_name(str(bundle.path), layer.digest), layer.digest, diff_id, layer.media_type)
        for layer, diff_id in zip(manifest.layers, configuration.rootfs.diff_ids, strict=True)
    )


def _manifests(bundle: Bundle, index: _Index, seen: set[str]) -> Iterator[Descriptor]:
    """The manifests of an index and of the indexes in it, each digest once."""
    for descriptor in index.manifests:
        if descriptor.digest in seen:
            continue
        seen.add(descriptor.digest)
        if descriptor.media_type in _INDEXES:
            name = blob_name(str(bundle.path), descriptor.digest)
            value = parse_json(bundle, name, read_blob(bundle, descriptor.digest))
            yield from _manifests(bundle, _model(bundle, name, _Index, value), seen)
        elif descriptor.media_type in _MANIFESTS:
            yield descriptor
        else:
            raise ImageError(f"{bundle.path}: {INDEX_FILE}", f"an entry of type {descriptor.media_type!r}",
                             "an image index or an image manifest, of OCI or Docker schema 2")  # fmt: skip


def _read_docker(bundle: Bundle) -> tuple[Configuration, tuple[Layer, ...]]:
    value = read_json(bundle, DOCKER_FILE)
    if not isinstance(value, list) or not value:
        raise ImageError(f"{bundle.path}: {DOCKER_FILE}", "no list of images", "a list with one image")
    images = [_model(bundle, DOCKER_FILE, _DockerEntry, one) for one in value]
    if len({image.config for image in images}) > 1:
        raise _several(bundle.path, [", ".join(image.repo_tags) or image.config for image in images])
    image = images[0]
    digest = image.config.rpartition("/")[2].removesuffix(".json")
    with bundle.open(image.config) as file:
        data = file.read(JSON_BYTES + 1)
    if re.fullmatch("[0-9a-f]{64}", digest):  # Docker names the file by its digest; other tools need not
        check_digest(f"{bundle.path}: {image.config}", hashlib.sha256(data).hexdigest(), f"sha256:{digest}")
    configuration = _configuration(bundle, image.config, data, len(image.layers))
    return configuration, tuple(
        Layer(name, "", diff_id, "application/vnd.docker.image.rootfs.diff.tar")
        for name, diff_id in zip(image.layers, configuration.rootfs.diff_ids, strict=True)
    )


def _configuration(bundle: Bundle, name: str, data: bytes, layers: int) -> Configuration:
    configuration = _model(bundle, name, Configuration, parse_json(bundle, name, data))
    if len(configuration.rootfs.diff_ids) != layers:
        raise ImageError(f"{bundle.path}: {name}", f"{len(configuration.rootfs.diff_ids)} diff_ids",
                         f"one for each of {layers} layers")  # fmt: skip
    for diff_id in configuration.rootfs.diff_ids:
        blob_name(f"{bundle.path}: {name}", diff_id)  # its form only
    return configuration


_Model = TypeVar("_Model", bound=_Table)


def _model(bundle: Bundle, name: str, kind: type[_Model], value: Any) -> _Model:
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"])) or "the file"
        raise ImageError(f"{bundle.path}: {name}", f"{key}: {first['msg']}", "what the image format says") from None


def _several(path: Path, names: list[str]) -> ImageError:
    shown = ", ".join(sorted(names)[:5])
    return ImageError(str(path), f"{len(names)} images ({shown})", "one image; save the one that is to run alone")


def _other_machine(path: Path, found: str, architecture: str) -> ImageError:
    return ImageError(
        str(path), found, f"one for linux/{architecture}, this machine (--platform of the tool that saves)"
    )

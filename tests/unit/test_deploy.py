"""The manifests of deploy/kubernetes are what Kubernetes accepts, key by key, and say for each pod what a run needs."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
KUBERNETES = "1.33.0"  # the first with user namespaces of pods without a feature gate


def objects() -> list[dict[str, Any]]:
    """All of them; a pod template of KubeRay, whose own kind has no schema here, as a Pod."""
    found = []
    for path in sorted(FOLDER.glob("*.yaml")):
        for each in yaml.safe_load_all(path.read_text()):
            if each["kind"] == "RayCluster":
                groups = [each["spec"]["headGroupSpec"], *each["spec"]["workerGroupSpecs"]]
                found += [as_pod(group["template"]) for group in groups]
            else:
                found.append(each)
    return found


def as_pod(template: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "skyloom"}} | copy.deepcopy(template)


def pods() -> Iterator[dict[str, Any]]:
    for each in objects():
        if each["kind"] == "Pod":
            yield each["spec"]
        elif "template" in each["spec"]:
            yield each["spec"]["template"]["spec"]


@pytest.mark.parametrize("each", objects(), ids=lambda each: each["kind"])
def test_kubernetes_knows_each_key(each):
    kubernetes_validate.validate(each, KUBERNETES, strict=True)


def test_a_misspelt_key_is_found():
    """Else the test above would say nothing."""
    each = next(each for each in objects() if each["kind"] == "Pod")
    context = each["spec"]["containers"][0]["securityContext"]
    context["procmount"] = context.pop("procMount")
    with pytest.raises(kubernetes_validate.ValidationError, match="procmount"):
        kubernetes_validate.validate(each, KUBERNETES, strict=True)


def test_each_pod_has_what_a_run_needs():
    found = list(pods())
    assert found
    for pod in found:
        assert pod["hostUsers"] is False, "procMount and capabilities are for pods with a user namespace alone"
        (container,) = pod["containers"]
        context = container["securityContext"]
        assert context["procMount"] == "Unmasked"
        assert {"NET_ADMIN", "SYS_ADMIN", "SYS_CHROOT"} <= set(context["capabilities"]["add"])
        assert "privileged" not in context
        assert container["resources"]["limits"] == container["resources"]["requests"]
        assert float(container["resources"]["limits"]["cpu"]).is_integer()
        volumes = {volume["name"] for volume in pod["volumes"]}
        mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        assert {"/dev/net/tun", "/dev/shm"} <= set(mounts)
        assert set(mounts.values()) == volumes
        (apart,) = pod["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        assert apart["topologyKey"] == "kubernetes.io/hostname"

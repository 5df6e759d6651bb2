"""The Helm chart, rendered by Helm's own engine and held against Kubernetes' own schemas."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from tests.deploy.processes import DEPLOY, comparable, procfile

helm = pytest.importorskip("helm_python", reason="helm-python-sdk is not installed: `make dev` brings it")
kubernetes_validate = pytest.importorskip("kubernetes_validate", reason="`make dev` brings it")
#: The oldest Kubernetes the chart says it takes, and a newer one.
VERSIONS = ("1.27", "1.34")
#: What others define.
FOREIGN = {"ServiceMonitor", "PodMonitor"}
CHOICES: Mapping[str, Mapping[str, Any]] = {
    "as it is": {},
    "through pgbouncer": {"directDatabaseSecretKey": "DATABASE_URL_DIRECT"},
    "little": {
        "backups": {"enabled": False}, "ingress": {"enabled": False}, "networkPolicy": {"enabled": False},
        "serviceMonitor": {"enabled": False},
    },
}  # fmt: skip


WITH_STREAM: Mapping[str, Any] = {"workers": {"stream": {"enabled": True}}}


def rendered(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    with helm.Chart.load(str(DEPLOY / "helm" / "palisade")) as chart:
        files = chart.render(dict(values), name="palisade", namespace="prod")
    return [one for text in files.values() for one in yaml.safe_load_all(text) if one]


@pytest.fixture(scope="module", params=CHOICES.values(), ids=CHOICES)
def manifests(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    return rendered(request.param)


def workloads(manifests: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(process, pod's specification)."""
    for one in manifests:
        if one["kind"] in ("Deployment", "Job"):
            yield one["metadata"]["name"].removeprefix("palisade-"), one["spec"]["template"]["spec"]


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_takes_all_of_it(manifests: list[dict[str, Any]], version: str) -> None:
    for one in manifests:
        if one["kind"] not in FOREIGN:
            kubernetes_validate.validate(one, version, strict=True)


def test_every_process_of_the_procfile_runs(manifests: list[dict[str, Any]]) -> None:
    found = {name: comparable(pod["containers"][0]["args"]) for name, pod in workloads(manifests) if name != "migrate"}
    assert found == procfile()


def test_pods_have_no_more_rights_than_they_need_and_room_that_ends(manifests: list[dict[str, Any]]) -> None:
    for name, pod in workloads(manifests):
        one = pod["containers"][0]
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["automountServiceAccountToken"] is False, name
        assert one["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip
        assert {"cpu", "memory"} <= set(one["resources"]["requests"]), name
        assert "memory" in one["resources"]["limits"], name


def test_what_is_served_is_probed_and_drains_before_it_ends(manifests: list[dict[str, Any]]) -> None:
    for name, pod in workloads(manifests):
        if name in ("api", "portal"):
            one = pod["containers"][0]
            assert (one["livenessProbe"]["httpGet"]["path"], one["readinessProbe"]["httpGet"]["path"]) == (
                "/health",
                "/ready",
            )
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):  # a pod's own address is no host of ours
                assert one[probe]["httpGet"]["httpHeaders"] == [{"name": "Host", "value": "localhost"}]
            drain = next(int(each["value"]) for each in one["env"] if each["name"] == "PALISADE_DRAIN_SECONDS")
            looks = one["readinessProbe"]["periodSeconds"] * one["readinessProbe"]["failureThreshold"]
            assert looks < drain < pod["terminationGracePeriodSeconds"] - 5


def test_whatever_is_named_is_there(manifests: list[dict[str, Any]]) -> None:
    there = {(one["kind"], one["metadata"]["name"]) for one in manifests}
    for one in manifests:
        if one["kind"] == "HorizontalPodAutoscaler":
            assert ("Deployment", one["spec"]["scaleTargetRef"]["name"]) in there
        if one["kind"] == "Ingress":
            backends = [
                path["backend"]["service"]["name"] for rule in one["spec"]["rules"] for path in rule["http"]["paths"]
            ]
            assert {("Service", name) for name in backends} <= there
    for _, pod in workloads(manifests):
        for volume in pod["volumes"]:
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            assert claim is None or ("PersistentVolumeClaim", claim) in there


def test_selectors_choose_the_pods_they_mean(manifests: list[dict[str, Any]]) -> None:
    pods = {
        one["metadata"]["name"]: one["spec"]["template"]["metadata"]["labels"]
        for one in manifests
        if one["kind"] == "Deployment"
    }
    for one in manifests:
        if one["kind"] in ("Deployment", "PodDisruptionBudget"):
            assert one["spec"]["selector"]["matchLabels"].items() <= pods[one["metadata"]["name"]].items()
        if one["kind"] == "Service":
            assert one["spec"]["selector"].items() <= pods[one["metadata"]["name"]].items()


def test_queue_s_age_and_requests_say_how_many_there_are() -> None:
    found = {
        one["metadata"]["name"]: one["spec"]["metrics"]
        for one in rendered({})
        if one["kind"] == "HorizontalPodAutoscaler"
    }
    assert {metric["type"] for metric in found["palisade-api"]} == {"Resource", "Pods"}
    assert found["palisade-batches"][0]["external"]["metric"]["name"] == "palisade_queue_age_seconds"


def test_stream_runs_where_it_is_wanted_alone() -> None:
    deployed = {name: pod["containers"][0]["args"] for name, pod in workloads(rendered(WITH_STREAM))}
    assert deployed["stream"] == ["python", "manage.py", "stream"]
    assert "stream" not in dict(workloads(rendered({})))


def test_beat_is_never_two() -> None:
    beat = next(one for one in rendered({}) if one["metadata"]["name"] == "palisade-beat")
    assert (beat["spec"]["replicas"], beat["spec"]["strategy"]["type"]) == (1, "Recreate")


def test_adapter_makes_what_pods_are_scaled_by() -> None:
    rules = yaml.safe_load((DEPLOY / "helm" / "adapter-rules.yaml").read_text())["rules"]
    made = {kind: [rule["name"]["as"] for rule in rules[kind]] for kind in ("custom", "external")}
    wanted: dict[str, list[str]] = {"custom": [], "external": []}
    for one in rendered({}):
        for metric in one["spec"]["metrics"] if one["kind"] == "HorizontalPodAutoscaler" else []:
            if metric["type"] == "Pods":
                wanted["custom"].append(metric["pods"]["metric"]["name"])
            if metric["type"] == "External":
                wanted["external"].append(metric["external"]["metric"]["name"])
    assert made == wanted
    known = (DEPLOY.parent / "docs" / "metrics.md").read_text()
    for rule in [*rules["custom"], *rules["external"]]:
        assert rule["seriesQuery"].partition("{")[0].removesuffix("_count") in known

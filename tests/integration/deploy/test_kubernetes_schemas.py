"""What is meant for Kubernetes is what Kubernetes' own schemas describe; kubeconform says so."""

import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fixtures.helm_chart import KUBERNETES, Object, rendered
from tests.fixtures.kubernetes_schemas import NAMING, schemas_by_kind
from tests.fixtures.services import go_module_or_skip, go_program_or_skip

pytestmark = pytest.mark.integration

MANIFESTS = Path(__file__).parents[3] / "deploy" / "kubernetes"
# Kong's own kind, which Kubernetes' schemas cannot know. What is in one is held to the plugins'
# schemas, in tests/contract/test_deploy_files.py.
NOT_KUBERNETES_OWN = "KongPlugin"
Judge = Callable[[Sequence[Object]], "Verdict"]


class Verdict:
    """What kubeconform says of some objects."""

    def __init__(self, resources: Sequence[dict[str, Any]]) -> None:
        self.faults = [
            f"{one['kind']} {one['name']}: {one['msg']}"
            for one in resources
            if one["status"] not in ("statusValid", "statusSkipped")
        ]
        self.unread = {one["kind"] for one in resources if one["status"] == "statusSkipped"}


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    binary = go_program_or_skip("kubeconform")
    module = go_module_or_skip("k8s.io/kubernetes")
    assert module.name.startswith(f"kubernetes@v{KUBERNETES}."), "what the chart is rendered for"
    swagger = module / "api" / "openapi-spec" / "swagger.json"
    folder = tmp_path_factory.mktemp("schemas")
    for name, schema in schemas_by_kind(json.loads(swagger.read_bytes())).items():
        (folder / name).write_text(json.dumps(schema), encoding="utf-8")

    def verdict(objects: Sequence[Object]) -> Verdict:
        ran = subprocess.run(
            [
                *(binary, "-strict", "-verbose", "-output", "json", "-skip", NOT_KUBERNETES_OWN),
                *("-schema-location", f"{folder}/{NAMING}"),
            ],
            input=yaml.safe_dump_all(objects),
            capture_output=True,
            check=False,
            text=True,
        )
        assert ran.returncode in (0, 1), ran.stderr
        resources = json.loads(ran.stdout)["resources"]
        assert len(resources) == len(objects), "each was looked at"
        return Verdict(resources)

    return verdict


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({}, id="as it comes"),
        pytest.param(
            {
                "kong.hosts": "{llm.example}",
                "kong.credentials": "{openai,anthropic}",
                "kong.service.type": "LoadBalancer",
                "kong.service.annotations.acme\\.example/tier": "gateway",
                "kong.journal.storageClassName": "fast",
                "imagePullSecrets[0].name": "registry",
                "networkPolicy.clients[0].podSelector.matchLabels.app": "a-client",
            },
            id="all that is optional",
        ),
        pytest.param(
            {
                "kong.enabled": "false",
                "dashboard.enabled": "false",
                "networkPolicy.gateways[0].podSelector.matchLabels.app": "my-kong",
            },
            id="a Kong of one's own",
        ),
        pytest.param(
            {
                "policyService.replicas": "1",
                "kong.replicas": "1",
                "dashboard.replicas": "1",
                "networkPolicy.enabled": "false",
            },
            id="one of each",
        ),
    ],
)
def test_the_chart_makes_what_kubernetes_takes(judge: Judge, values: dict[str, str]) -> None:
    verdict = judge(rendered(**values))
    assert verdict.faults == []
    assert verdict.unread == set()


def test_the_ingress_controller_is_given_what_kubernetes_takes(judge: Judge) -> None:
    text = (MANIFESTS / "kic.yaml").read_text(encoding="utf-8")
    verdict = judge(list(yaml.safe_load_all(text)))
    assert verdict.faults == []
    assert verdict.unread == {NOT_KUBERNETES_OWN}


def test_what_kongs_own_chart_puts_into_its_pod_is_what_kubernetes_takes(judge: Judge) -> None:
    values = yaml.safe_load((MANIFESTS / "kong-values.yaml").read_text(encoding="utf-8"))
    deployment = values["deployment"]
    kong = {
        "name": "proxy",
        "lifecycle": values["lifecycle"],
        "env": [{"name": name, **value} for name, value in values["customEnv"].items()],
        "securityContext": values["containerSecurityContext"],
        "volumeMounts": deployment["userDefinedVolumeMounts"],
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "kong"},
        "spec": {
            "securityContext": values["securityContext"],
            "terminationGracePeriodSeconds": values["terminationGracePeriodSeconds"],
            "initContainers": deployment["initContainers"],
            "containers": [kong, *deployment["sidecarContainers"]],
            "volumes": deployment["userDefinedVolumes"],
        },
    }
    assert judge([pod]).faults == []


def misspelled(service: Object) -> None:
    service["spec"]["prots"] = service["spec"].pop("ports")


def numbers_for_words(service: Object) -> None:
    service["metadata"]["annotations"] = {"konghq.com/retries": 0}


def without_a_value(service: Object) -> None:
    service["spec"]["selector"] = None


def an_old_version(service: Object) -> None:
    service["apiVersion"] = "v1beta1"


@pytest.mark.parametrize("spoil", [misspelled, numbers_for_words, without_a_value, an_old_version])
def test_what_kubernetes_would_refuse_is_found(
    judge: Judge, spoil: Callable[[Object], None]
) -> None:
    service: Object = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "one"},
        "spec": {"selector": {"app": "one"}, "ports": [{"port": 80, "targetPort": "http"}]},
    }
    assert judge([service]).faults == []
    spoil(service)
    [fault] = judge([service]).faults
    assert fault.startswith("Service one: ")

"""The Terraform example is in its standard form, and hands the chart values that the chart has."""

import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fixtures.helm_chart import Object, rendered_with
from tests.fixtures.services import binary_or_skip

DEPLOY = Path(__file__).parents[3] / "deploy"
MODULE = DEPLOY / "terraform"
VALUES = yaml.safe_load((DEPLOY / "helm/gatehouse/values.yaml").read_text(encoding="utf-8"))
TEXT = "\n".join(path.read_text(encoding="utf-8") for path in sorted(MODULE.glob("*.tf")))
HELM_RELEASE = """
atomic chart cleanup_on_fail create_namespace dependency_update depends_on description devel
disable_crd_hooks disable_openapi_validation disable_webhooks force_update for_each keyring lint
max_history name namespace pass_credentials postrender recreate_pods render_subchart_notes replace
repository reset_values reuse_values set set_list set_sensitive skip_crds timeout upgrade_install
values verify version wait wait_for_jobs
"""
CLUSTER = """
client_certificate client_key cluster_ca_certificate config_context config_context_auth_info
config_context_cluster config_path config_paths exec host insecure password proxy_url
tls_server_name token username
"""
# What the providers take, in the versions that main.tf asks for (helm 2.17.0, kubernetes 2.35.0).
# Source: the schemas that cdktf-cdktf-provider-helm 10.5.0 and cdktf-cdktf-provider-kubernetes
# 11.10.0 are generated from (checked 2026-11-30).
ARGUMENTS = {
    'provider "kubernetes"': CLUSTER,
    'provider "helm"': f"kubernetes {CLUSTER}",
    'data "kubernetes_secret" "named"': "for_each metadata name namespace annotations labels",
    'resource "helm_release" "gatehouse"': HELM_RELEASE,
}
GIVEN = {
    "existing_secret": "ours",
    "credentials_secret": "keys",
    "image_repository": "registry.acme.example/gatehouse",
}


@pytest.fixture(scope="module")
def terraform() -> str:
    return binary_or_skip("terraform", "see developer.hashicorp.com", is_required=False)


def run(terraform: str, *words: str, folder: Path = MODULE) -> subprocess.CompletedProcess[str]:
    """Terraform asks nobody but us, and keeps nothing outside the folder."""
    return subprocess.run(
        [terraform, *words],
        env={**os.environ, "CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull},  # noqa: TID251
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


class Example:
    """The module without its two providers, which Terraform would download: what it tells them.

    Args:
        folder: Its variables, its locals and what they are made of; nothing else of it.
    """

    def __init__(self, terraform: str, folder: Path) -> None:
        self._terraform, self._folder = terraform, folder
        main = (MODULE / "main.tf").read_text(encoding="utf-8")
        [local] = re.findall(r"^locals \{\n.*?^\}$", main, re.MULTILINE | re.DOTALL)
        [looked_up] = re.findall(r"^  for_each = (toset\(.*\))$", main, re.MULTILINE)
        asked = {"values": "yamlencode(local.values)", "secrets": looked_up}
        outputs = [f'output "{name}" {{\n  value = {text}\n}}' for name, text in asked.items()]
        (folder / "main.tf").write_text("\n".join([local, *outputs]), encoding="utf-8")
        for name in ("variables.tf", "outputs.tf"):
            (folder / name).write_bytes((MODULE / name).read_bytes())
        (folder / "models.yaml").write_text("models: []\n", encoding="utf-8")
        began = run(terraform, "init", "-input=false", folder=folder)
        assert began.returncode == 0, began.stdout + began.stderr

    def planned(self, **variables: object) -> subprocess.CompletedProcess[str]:
        """Plan it with the variables that it needs and these."""
        given = {**GIVEN, "models_file": "models.yaml", **variables}
        (self._folder / "terraform.tfvars.json").write_text(json.dumps(given), encoding="utf-8")
        return run(
            self._terraform, "plan", "-input=false", "-no-color", "-out=plan", folder=self._folder
        )

    def outputs(self, **variables: object) -> dict[str, Any]:
        """What it would tell."""
        planned = self.planned(**variables)
        assert planned.returncode == 0, planned.stdout + planned.stderr
        shown = run(self._terraform, "show", "-json", "plan", folder=self._folder)
        outputs = json.loads(shown.stdout)["planned_values"]["outputs"]
        return {name: one["value"] for name, one in outputs.items()}

    def objects(self, **variables: object) -> list[Object]:
        """What the chart makes of the values that it would be given."""
        return rendered_with(self.outputs(**variables)["values"])


@pytest.fixture(scope="module")
def example(terraform: str, tmp_path_factory: pytest.TempPathFactory) -> Example:
    return Example(terraform, tmp_path_factory.mktemp("terraform"))


@pytest.mark.integration
def test_it_is_in_terraforms_standard_form(terraform: str) -> None:
    checked = run(terraform, "fmt", "-check", "-diff")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def named(objects: list[Object], kind: str) -> dict[str, Object]:
    return {one["metadata"]["name"]: one for one in objects if one["kind"] == kind}


@pytest.mark.integration
def test_what_it_plans_is_what_the_chart_installs(example: Example) -> None:
    objects = example.objects(
        dashboard_secret="board",
        image_tag="1.2.3",
        replicas=4,
        workers=3,
        hosts=["llm.acme.example"],
        kong_credentials=["openai"],
        settings={"POLICY_LEASE_S": "90"},
    )
    deployments = named(objects, "Deployment")
    policy = deployments["gatehouse-policy"]["spec"]
    assert policy["replicas"] == 4
    images = {one["image"] for one in policy["template"]["spec"]["containers"]}
    assert "registry.acme.example/gatehouse:1.2.3" in images
    text = yaml.safe_dump_all(objects)
    for told in ("POLICY_LEASE_S", "llm.acme.example", "POLICY_LOG_FORMAT", "name: board"):
        assert told in text


@pytest.mark.integration
def test_by_default_it_asks_for_no_dashboard_and_looks_for_the_secrets_that_are_named(
    example: Example,
) -> None:
    told = example.outputs()
    assert told["secrets"] == ["keys", "ours"]
    assert told["policy_url"] == "http://gatehouse-policy.gatehouse.svc:8100"
    objects = rendered_with(told["values"])
    assert not [name for name in named(objects, "Deployment") if "dashboard" in name]
    services = named(objects, "Service")
    assert services["gatehouse-policy"]["spec"]["ports"][0]["port"] == 8100
    assert example.outputs(dashboard_secret="board")["secrets"] == ["board", "keys", "ours"]


@pytest.mark.integration
def test_without_a_kong_of_its_own_it_lets_the_named_gateways_in(example: Example) -> None:
    gateway = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kong"}}}
    objects = example.objects(with_kong=False, gateways=[gateway])
    assert (
        "gatehouse-kong"
        not in named(objects, "Deployment").keys() | named(objects, "StatefulSet").keys()
    )
    assert (
        gateway in named(objects, "NetworkPolicy")["gatehouse-policy"]["spec"]["ingress"][0]["from"]
    )


@pytest.mark.integration
def test_one_replica_is_refused_with_the_reason(example: Example) -> None:
    planned = example.planned(replicas=1)
    assert planned.returncode != 0
    assert "One replica is not available while its node is drained" in planned.stderr


def test_every_argument_is_one_of_the_providers() -> None:
    blocks = dict(
        re.findall(
            r"^((?:provider|data|resource) [^{\n]+) \{\n(.*?)^\}$", TEXT, re.MULTILINE | re.DOTALL
        )
    )
    assert blocks.keys() == ARGUMENTS.keys()
    for block, body in blocks.items():
        used = set(re.findall(r"^ +(\w+) +(?:= |\{)", body, re.MULTILINE))
        assert used
        assert used <= set(ARGUMENTS[block].split()), block


def test_every_value_is_one_of_the_charts() -> None:
    begun = TEXT.partition("  values = {\n")[2].partition("\n  }\n}")[0]
    values = "\n".join(line.removeprefix("    ") for line in begun.splitlines())
    top = re.findall(r"^(\w+) *= ", values, re.MULTILINE)
    assert len(top) == 8
    assert set(top) <= VALUES.keys()
    for name, body in re.findall(r"^(\w+) = (?:merge\(|\{)\n(.*?)^[)}]", values, re.M | re.S):
        chart: Mapping[str, Any] = VALUES[name]
        given = set(re.findall(r"(?:^ +|[{,] )(\w+) *= ", body, re.MULTILINE))
        assert given
        assert given - {"POLICY_LOG_FORMAT"} <= chart.keys(), name


def test_every_variable_is_declared_described_and_used() -> None:
    declared = re.findall(r'^variable "(\w+)" \{\n  description = "(.+)"$', TEXT, re.MULTILINE)
    used = set(re.findall(r"\bvar\.(\w+)", TEXT))
    assert used == {name for name, _ in declared}
    assert len(declared) == TEXT.count('\nvariable "') + TEXT.startswith('variable "')


def test_no_secret_goes_through_its_state() -> None:
    assert "kubernetes_secret_v1" not in TEXT
    assert 'resource "kubernetes_secret"' not in TEXT
    assert "set_sensitive" not in TEXT

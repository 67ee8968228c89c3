"""The Helm chart renders to pods that may do little, are probed, and agree on names and ports."""

from collections.abc import Iterator

import pytest

from kong_plugins._runtime.flags import TRACES_VARIABLE
from policy_service.cli.kong import PLUGINS
from tests.contract.test_deploy_files import PINNED, is_setting, kong_conf
from tests.fixtures.helm_chart import NEEDED, Object, helm, rendered

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def objects() -> list[Object]:
    return rendered(**{"kong.credentials": "{openai}", "kong.hosts": "{llm.example}"})


def of_kind(objects: list[Object], *kinds: str) -> list[Object]:
    return [one for one in objects if one["kind"] in kinds]


def workloads(objects: list[Object]) -> list[Object]:
    return of_kind(objects, "Deployment", "StatefulSet")


def containers(objects: list[Object]) -> Iterator[Object]:
    for one in workloads(objects):
        pod = one["spec"]["template"]["spec"]
        yield from (*pod.get("initContainers", ()), *pod["containers"])


def test_the_chart_has_no_fault_that_lint_finds() -> None:
    ran = helm("lint", NEEDED)
    assert ran.returncode == 0, ran.stdout


def test_a_secret_that_is_missing_is_asked_for() -> None:
    ran = helm("template", {})
    assert ran.returncode != 0
    assert "make a Secret" in ran.stderr


def test_no_container_may_do_more_than_it_needs(objects: list[Object]) -> None:
    for one in workloads(objects):
        pod = one["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
    for one in containers(objects):
        allowed = one["securityContext"]
        assert allowed["readOnlyRootFilesystem"] is True
        assert allowed["allowPrivilegeEscalation"] is False
        assert allowed["capabilities"] == {"drop": ["ALL"]}
        assert one["resources"]["limits"]["memory"]
        assert PINNED.fullmatch(one["image"]), one["image"]


def test_every_container_is_probed(objects: list[Object]) -> None:
    for one in workloads(objects):
        for container in one["spec"]["template"]["spec"]["containers"]:
            assert {"livenessProbe", "readinessProbe"} <= set(container), container["name"]


def test_a_service_leads_to_ports_that_its_pods_have(objects: list[Object]) -> None:
    for service in of_kind(objects, "Service"):
        wanted = service["spec"]["selector"].items()
        [owner] = [
            one
            for one in workloads(objects)
            if wanted <= one["spec"]["template"]["metadata"]["labels"].items()
        ]
        ports = {
            p["name"] for c in owner["spec"]["template"]["spec"]["containers"] for p in c["ports"]
        }
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


def test_each_component_keeps_pods_while_nodes_are_drained(objects: list[Object]) -> None:
    budgets = {one["metadata"]["name"]: one for one in of_kind(objects, "PodDisruptionBudget")}
    for one in workloads(objects):
        budget = budgets[one["metadata"]["name"]]["spec"]
        assert budget["selector"] == one["spec"]["selector"]
        assert 0 < budget["minAvailable"] < one["spec"]["replicas"]


def test_network_policies_are_about_our_pods(objects: list[Object]) -> None:
    policies = of_kind(objects, "NetworkPolicy")
    selectors = [one["spec"]["selector"] for one in workloads(objects)]
    assert len(policies) == len(selectors)
    assert all(one["spec"]["podSelector"] in selectors for one in policies)
    service = next(one for one in policies if one["metadata"]["name"] == "g-policy")
    [rule] = service["spec"]["ingress"]
    asking = [one["podSelector"] for one in rule["from"] if "podSelector" in one]
    assert asking == [selectors_of("kong"), selectors_of("dashboard")]


def selectors_of(component: str) -> Object:
    labels = {"name": "gatehouse", "instance": "g", "component": component}
    return {"matchLabels": {f"app.kubernetes.io/{name}": value for name, value in labels.items()}}


def test_kong_is_told_of_the_plugin_servers_beside_it(objects: list[Object]) -> None:
    [kong] = [one for one in containers(objects) if one["name"] == "kong"]
    environment = {one["name"]: one.get("value", "") for one in kong["env"]}
    conf = kong_conf(environment)
    beside = {one["name"]: one for one in containers(objects)}
    assert sorted(server.name for server in conf.plugin_servers) == sorted(PLUGINS)
    for server in conf.plugin_servers:
        assert server.socket in beside[server.name]["readinessProbe"]["exec"]["command"]
        assert server.query_cmd == f"cat /kong/plugins/{server.name}.json"
    assert "OPENAI_API_KEY" in environment
    assert environment["KONG_NGINX_WORKER_PROCESSES"] == "2"
    script = beside["files"]["command"][2]
    assert "--policy-url http://g-policy:8100 --host 'llm.example' > /kong/kong.yaml" in script


def test_plugin_servers_are_told_where_traces_go() -> None:
    collector = "http://collector:4318"
    told = rendered(**{f"kong.pluginServer.env.{TRACES_VARIABLE}": collector})
    servers = [one for one in containers(told) if one["name"] in PLUGINS]
    assert [one["env"] for one in servers] == [[{"name": TRACES_VARIABLE, "value": collector}]] * 3


def test_the_service_is_given_settings_that_exist(objects: list[Object]) -> None:
    [service] = [one for one in containers(objects) if one["name"] == "policy-service"]
    assert [one["name"] for one in service["env"] if not is_setting(one["name"])] == []


def test_an_installation_with_a_kong_of_its_own_has_no_other() -> None:
    objects = rendered(**{"kong.enabled": "false", "dashboard.enabled": "false"})
    assert [one["metadata"]["name"] for one in workloads(objects)] == ["g-policy"]


def test_what_kong_needs_outlives_its_quitting(objects: list[Object]) -> None:
    [pod] = [
        one["spec"]["template"]["spec"]
        for one in workloads(objects)
        if one["metadata"]["name"] == "g-kong"
    ]
    beside = {one["name"]: one for one in pod["containers"]}
    *_, told = stop_command(beside.pop("kong"))
    quits_s = int(told.removeprefix("--timeout=")) + 10  # and --wait before
    for name in PLUGINS:
        sleep, stays_s = stop_command(beside[name])
        assert sleep == "sleep"
        assert quits_s <= int(stays_s) < pod["terminationGracePeriodSeconds"]


def stop_command(container: Object) -> list[str]:
    command: list[str] = container["lifecycle"]["preStop"]["exec"]["command"]
    return command


def test_the_service_waits_until_nobody_sends_it_calls(objects: list[Object]) -> None:
    [service] = [one for one in containers(objects) if one["name"] == "policy-service"]
    assert stop_command(service) == ["sleep", "5"]


def test_the_database_is_migrated_where_no_probe_ends_it(objects: list[Object]) -> None:
    [migrate] = [one for one in containers(objects) if one["name"] == "migrate"]
    assert migrate["command"] == ["gatehouse", "migrate"]
    assert [one["name"] for one in migrate["env"]] == ["POLICY_DATABASE_URL"]
    assert not any(name.endswith("Probe") for name in migrate)


def test_a_gateway_of_ones_own_is_let_in_when_it_is_named() -> None:
    named = "networkPolicy.gateways[0].podSelector.matchLabels.app"
    objects = rendered(**{"kong.enabled": "false", named: "my-kong"})
    [service] = [
        one for one in of_kind(objects, "NetworkPolicy") if one["metadata"]["name"] == "g-policy"
    ]
    [rule] = service["spec"]["ingress"]
    assert {"podSelector": {"matchLabels": {"app": "my-kong"}}} in rule["from"]


def test_the_dashboard_reaches_kong_where_clients_are_named() -> None:
    objects = rendered(**{"networkPolicy.clients[0].podSelector.matchLabels.app": "a-client"})
    [kong] = [
        one for one in of_kind(objects, "NetworkPolicy") if one["metadata"]["name"] == "g-kong"
    ]
    proxy = kong["spec"]["ingress"][0]["from"]
    assert proxy == [
        {"podSelector": {"matchLabels": {"app": "a-client"}}},
        {"podSelector": selectors_of("dashboard")},
    ]

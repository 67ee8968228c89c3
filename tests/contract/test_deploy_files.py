"""Images and the compose file name what exists: settings, files, plugins, ports, versions."""

import re
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from dashboard.settings import load_settings
from devkong import schema as kong_schema
from devkong.conf import KongConf, parse_conf
from devkong.declarative import parse_declaration
from devkong.vault import Unopened
from llm_core.operation import OWN_OPERATIONS
from llm_core.policy.call_facts import operation_at
from llm_core.policy.decision import TICKET_HEADER
from llm_core.policy.presented import KEY_HEADERS
from llm_core.policy.request_facts import DATA_LABELS, PRIORITY, USE_CASE
from policy_service.adapters.catalogue_file import read_catalogue
from policy_service.api import relay
from policy_service.api.forward_auth import SECRET_HEADER
from policy_service.cli import app
from policy_service.cli.kong import PLUGINS, config_lines
from policy_service.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
VALUES = yaml.safe_load((DEPLOY / "helm/gatehouse/values.yaml").read_text(encoding="utf-8"))
DOCKERFILES = sorted((DEPLOY / "docker").iterdir())
OURS = [name for name, one in SERVICES.items() if one["image"].startswith("gatehouse:")]
PINNED = re.compile(r"[\w./-]+:v?\d+\.\d+[\w.-]*")


def kong_conf(environment: dict[str, str]) -> KongConf:
    """What Kong's environment says, as the kong.conf that it stands for."""
    lines = [
        f"{name.removeprefix('KONG_').lower()} = {value}"
        for name, value in environment.items()
        if name.startswith("KONG_")
    ]
    return parse_conf("\n".join(lines))


def dockerfile_environment(path: Path) -> dict[str, str]:
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    return {
        name: value.strip('"')
        for line in text.splitlines()
        if line.startswith("ENV ")
        for name, value in re.findall(r'(\w+)=("[^"]*"|\S+)', line)
    }


def is_setting(name: str) -> bool:
    known = {f"POLICY_{field.upper()}" for field in Settings.model_fields}
    return name in known or name.partition("__")[0] in known


def test_every_image_is_pinned_by_version() -> None:
    images = {one["image"] for one in SERVICES.values()}
    images |= {VALUES["kong"]["image"], VALUES["policyService"]["opa"]["image"]}
    for path in DOCKERFILES:
        images |= set(re.findall(r"^ARG \w+_IMAGE=(\S+)$", path.read_text(), re.MULTILINE))
    assert [image for image in sorted(images) if not PINNED.fullmatch(image)] == []
    assert len(images) >= 8


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_an_image_ends_as_no_root_and_installs_by_hash(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users[-1] in ("1000:1000", "kong")
    assert any("--require-hashes -r requirements.lock" in line for line in lines)
    for source in (
        word for line in lines if line.startswith("FROM ") for word in line.split()[1:2]
    ):
        assert source.startswith("${"), "what an image is made from is an argument"


def test_what_an_image_copies_is_not_ignored() -> None:
    kept = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    assert all((ROOT / name).exists() for name in kept)
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    bundled = {"rego", "prices", "kong.yaml", "kong.conf"}
    assert packages | bundled | {"pyproject.toml", "README.md", "requirements.lock"} <= kept


def test_settings_that_the_service_is_given_exist() -> None:
    environment = SERVICES["policy-service"]["environment"]
    assert [name for name in environment if not is_setting(name)] == []
    templates = (DEPLOY / "helm/gatehouse/templates/policy-service.yaml").read_text()
    named = set(
        re.findall(r"\bPOLICY_[A-Z_]+", templates + str(VALUES["policyService"]["settings"]))
    )
    named |= set(
        re.findall(r"\bPOLICY_[A-Z_]+", (DEPLOY / "helm/gatehouse/values.yaml").read_text())
    )
    assert named
    assert [name for name in sorted(named) if not is_setting(name)] == []


def test_the_dashboard_starts_with_what_it_is_given() -> None:
    environment = {**SERVICES["dashboard"]["environment"], "DASHBOARD_ADMIN_TOKEN": "t" * 16}
    settings = load_settings(environment)
    assert settings.policy_url == "http://policy-service:8100"


def test_every_variable_of_the_compose_file_is_in_the_example() -> None:
    example = (DEPLOY / "compose.env.example").read_text(encoding="utf-8")
    told = set(re.findall(r"^(\w+)=", example, re.MULTILINE))
    asked = set(re.findall(r"\$\{(\w+)", (ROOT / "compose.yaml").read_text(encoding="utf-8")))
    assert asked == told
    assert re.findall(r"^\w+=(.+)$", example, re.MULTILINE) == [], "an example holds no secret"


def test_kong_with_the_plugins_inside_is_told_what_the_command_prints() -> None:
    told = kong_conf(dockerfile_environment(DEPLOY / "docker/kong.Dockerfile"))
    printed = parse_conf(config_lines(Path("/run/kong"), Path("/opt/gatehouse/bin/python")))
    assert told == printed


def test_the_documented_kong_writes_to_memory_and_its_journal_only() -> None:
    path = DEPLOY / "docker/kong.Dockerfile"
    prefix = dockerfile_environment(path)["KONG_PREFIX"]
    page = (ROOT / "docs/install/kong.md").read_text(encoding="utf-8")
    [command] = re.findall(r"^\$ docker run .* gatehouse-kong:.*$", page, re.MULTILINE)
    options = command.split()
    assert "--read-only" in options
    in_memory = {value for name, value in pairwise(options) if name == "--tmpfs"}
    assert in_memory == {"/tmp", prefix}  # noqa: S108 - the container's
    assert re.search(rf"install -d -o kong .* {prefix}$", path.read_text(), re.MULTILINE)
    assert ("--cap-drop", "ALL") in pairwise(options)
    assert ("--security-opt", "no-new-privileges") in pairwise(options)


def test_kong_beside_the_plugins_finds_their_sockets_and_descriptions() -> None:
    conf = kong_conf(SERVICES["kong"]["environment"])
    printed = parse_conf(config_lines(Path("/p"), Path("/python")))
    assert (conf.plugins, conf.http_directives) == (printed.plugins, printed.http_directives)
    assert [server.name for server in conf.plugin_servers] == list(PLUGINS)
    for server in conf.plugin_servers:
        beside = SERVICES[server.name]
        assert server.start_cmd is None
        assert server.socket == f"/sockets/{server.name}.sock"
        assert server.query_cmd == f"cat /kong/plugins/{server.name}.json"
        module, flags = beside["command"][2], beside["command"][3:]
        assert module == f"kong_plugins.{server.name.replace('-', '_')}"
        assert flags[:3] == ["--kong-prefix", "/sockets", "--standalone"]
        assert server.socket in beside["healthcheck"]["test"]
        assert "sockets:/sockets" in beside["volumes"]
        assert SERVICES["kong"]["depends_on"][server.name] == {"condition": "service_healthy"}
    assert {SERVICES[name]["user"] for name in (*PLUGINS, "kong")} == {"1000:1000"}


def test_the_declarative_file_that_is_written_at_the_start_is_one() -> None:
    script = SERVICES["kong-files"]["command"][2]
    arguments = script.partition(" > ")[0].split()[1:]
    ran = CliRunner().invoke(app, arguments)
    declaration = parse_declaration(ran.stdout)
    [service] = declaration.services
    assert (service.host, service.port, service.path) == ("policy-service", 8100, "/relay")
    assert len(declaration.plugins) == 2 + len(declaration.routes)


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_may_do_little(name: str) -> None:
    one = SERVICES[name]
    user, _, _ = one["user"].partition(":")
    assert int(user) != 0
    assert user == "1000" or name not in (*OURS, "kong", "opa")
    assert one["cap_drop"] == ["ALL"]
    assert one["security_opt"] == ["no-new-privileges:true"]


def test_a_root_is_read_only_but_where_compose_must_write_a_secret() -> None:
    from_variables = {
        name for name, secret in COMPOSE["secrets"].items() if "environment" in secret
    }
    for name, one in SERVICES.items():
        given = {secret["source"] for secret in one.get("secrets", ())}
        assert one["read_only"] is not bool(given & from_variables), name


def test_what_is_in_memory_belongs_to_who_writes_there() -> None:
    for name, one in SERVICES.items():
        for mount in one.get("tmpfs", ()):
            options = dict(part.split("=") for part in mount.partition(":")[2].split(","))
            assert f"{options['uid']}:{options['gid']}" == one["user"], name


def test_nobody_but_the_service_reaches_opa_which_takes_policies_from_everybody() -> None:
    [network] = SERVICES["opa"]["networks"]
    assert COMPOSE["networks"][network] == {"internal": True}
    assert [name for name, one in SERVICES.items() if network in one.get("networks", ())] == [
        "opa",
        "policy-service",
    ]


def test_opa_is_the_one_that_is_tested() -> None:
    [tested] = re.findall(r"^OPA_VERSION := v(\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    image = f"openpolicyagent/opa:{tested}-static"
    assert {SERVICES["opa"]["image"], VALUES["policyService"]["opa"]["image"]} == {image}


def test_only_the_gateway_is_reached_from_outside() -> None:
    for name, one in SERVICES.items():
        for port in one.get("ports", ()):
            assert name == "kong" or port.startswith("127.0.0.1:"), name
    assert SERVICES["kong"]["environment"]["KONG_ADMIN_LISTEN"].startswith("127.0.0.1:")


def test_files_that_are_mounted_exist_and_volumes_are_declared() -> None:
    for one in SERVICES.values():
        for volume in one.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (ROOT / source).is_file(), source
            else:
                assert source in COMPOSE["volumes"]


def test_prometheus_scrapes_where_somebody_tells() -> None:
    config = yaml.safe_load((DEPLOY / "compose/prometheus.yml").read_text())
    targets = {
        t for job in config["scrape_configs"] for s in job["static_configs"] for t in s["targets"]
    }
    told = {f"{name}:{SERVICES[name]['command'][-1].rpartition(':')[2]}" for name in PLUGINS}
    assert targets == told | {"policy-service:8100"}


@pytest.mark.parametrize("text", [(DEPLOY / "models.yaml").read_text(), VALUES["models"]])
def test_the_examples_of_a_model_catalogue_are_ones(tmp_path: Path, text: str) -> None:
    path = tmp_path / "models.yaml"
    path.write_text(text)
    assert [model.alias for model in read_catalogue(path).models] == ["gpt-4o-mini"]


KUBERNETES = DEPLOY / "kubernetes"


def test_kongs_own_chart_is_told_the_same() -> None:
    values = yaml.safe_load((KUBERNETES / "kong-values.yaml").read_text(encoding="utf-8"))
    conf = kong_conf({f"KONG_{name.upper()}": value for name, value in values["env"].items()})
    beside = {one["name"]: one["command"] for one in values["deployment"]["sidecarContainers"]}
    printed = parse_conf(config_lines(Path("/p"), Path("/python")))
    assert (conf.plugins, conf.http_directives) == (printed.plugins, printed.http_directives)
    for server in conf.plugin_servers:
        assert server.socket == f"/sockets/{server.name}.sock"
        assert server.query_cmd == f"cat /kong-plugins/{server.name}.json"
        assert beside[server.name][2] == f"kong_plugins.{server.name.replace('-', '_')}"
    assert sorted(beside) == sorted(PLUGINS)
    for sidecar in values["deployment"]["sidecarContainers"]:
        assert sidecar["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", "52"]
    assert values["terminationGracePeriodSeconds"] == 60


def test_what_stands_beside_kongs_own_chart_may_do_little_and_is_probed() -> None:
    values = yaml.safe_load((KUBERNETES / "kong-values.yaml").read_text(encoding="utf-8"))
    deployment = values["deployment"]
    sidecars = deployment["sidecarContainers"]
    assert values["securityContext"]["runAsUser"] == 1000
    for one in (*deployment["initContainers"], *sidecars):
        assert one["resources"] == VALUES["kong"]["pluginServer"]["resources"]
        assert "/tmp" in {mount["mountPath"] for mount in one["volumeMounts"]}  # noqa: S108
    contexts = [one["securityContext"] for one in (*deployment["initContainers"], *sidecars)]
    for allowed in (values["containerSecurityContext"], *contexts):
        assert allowed["runAsNonRoot"] is True
        assert allowed["readOnlyRootFilesystem"] is True
        assert allowed["allowPrivilegeEscalation"] is False
        assert allowed["capabilities"] == {"drop": ["ALL"]}
    for one in sidecars:
        port = int(one["command"][-1].rpartition(":")[2])
        assert [listening["containerPort"] for listening in one["ports"]] == [port]
        assert one["livenessProbe"]["tcpSocket"]["port"] == port
        assert one["readinessProbe"]["exec"]["command"][-1] == f"/sockets/{one['name']}.sock"


def test_the_ingress_controller_gets_the_routes_and_plugins_that_ship() -> None:
    text = (KUBERNETES / "kic.yaml").read_text(encoding="utf-8")
    objects = list(yaml.safe_load_all(text))
    shipped = yaml.safe_load((ROOT / "kong.yaml").read_text(encoding="utf-8"))["services"][0]
    wanted = {(r["methods"][0], f"/{path}") for r in shipped["routes"] for path in r["paths"]}
    found = set()
    for one in objects:
        if one["kind"] == "Ingress":
            annotations = one["metadata"]["annotations"]
            assert annotations["konghq.com/plugins"].split(",") == list(PLUGINS)
            assert annotations["konghq.com/strip-path"] == "false"
            for path in one["spec"]["rules"][0]["http"]["paths"]:
                found.add((annotations["konghq.com/methods"], path["path"]))
    assert found == wanted
    for one in objects:
        if one["kind"] == "KongPlugin":
            name = one["plugin"]
            fields = list(import_module(f"kong_plugins.{name.replace('-', '_')}.schema").SCHEMA)
            kong_schema.check(name, fields, one["config"], Unopened())
    relay = next(one for one in objects if one["kind"] == "Service")["metadata"]["annotations"]
    assert relay["konghq.com/path"] == "/relay"
    for name in ("retries", "connect-timeout", "read-timeout", "write-timeout"):
        assert relay[f"konghq.com/{name}"] == str(shipped[name.replace("-", "_")])


def test_apisix_asks_and_proxies_as_the_contract_says() -> None:
    [route] = yaml.safe_load((DEPLOY / "apisix.yaml").read_text(encoding="utf-8"))["routes"]
    asking, rewriting = route["plugins"]["forward-auth"], route["plugins"]["proxy-rewrite"]
    assert asking["uri"].endswith("/v1/forward-auth")
    assert (asking["request_method"], asking["allow_degradation"]) == ("POST", False)
    assert asking["upstream_headers"] == [TICKET_HEADER]
    assert set(asking["extra_headers"]) == {SECRET_HEADER, DATA_LABELS}
    # A variable of nginx holds all lines of a header; `request_headers` would hand on the first.
    assert asking["extra_headers"][DATA_LABELS] == f"$http_{DATA_LABELS.replace('-', '_')}"
    asked = {name.lower() for name in asking["request_headers"]}
    assert {*KEY_HEADERS, PRIORITY, USE_CASE, "cache-control", "traceparent"} == asked
    served = {one.path for one in relay.routes}
    pattern, target = rewriting["regex_uri"]
    for uri in route["uris"]:
        assert re.sub(pattern, target.replace("$1", r"\1"), uri) in served
        assert operation_at("POST", uri) not in OWN_OPERATIONS
    assert route["upstream"]["retries"] == 0
    assert (DEPLOY / "apisix.yaml").read_text(encoding="utf-8").endswith("#END\n")

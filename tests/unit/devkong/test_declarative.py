"""kong.yaml."""

import pytest

from devkong.declarative import parse_declaration
from devkong.errors import ConfigError

NESTED = """
_format_version: "3.0"
services:
  - name: relay
    url: https://relay.example:8443/base
    read_timeout: 1500
    retries: 0
    plugins:
      - name: llm-auth
        config: {cache_ttl_s: 5}
    routes:
      - name: chat
        paths: [/v1]
        methods: [POST]
        strip_path: false
        plugins:
          - name: llm-token-meter
            enabled: false
consumers:
  - username: ann
    custom_id: a-1
    keyauth_credentials:
      - key: good
plugins:
  - name: key-auth
    route: chat
  - name: llm-auth
"""


def test_entities_are_found_wherever_they_are_nested():
    declaration = parse_declaration(NESTED)
    service, route = declaration.services[0], declaration.routes[0]
    assert (service.protocol, service.host, service.port) == ("https", "relay.example", 8443)
    assert (service.path, service.read_timeout_ms, service.retries) == ("/base", 1500, 0)
    assert (route.service, route.paths, route.strip_path) == (service, ("/v1",), False)
    assert declaration.key_credentials[0].consumer == declaration.consumers[0]
    scopes = [(p.name, p.route_id, p.service_id, p.enabled) for p in declaration.plugins]
    assert scopes == [
        ("llm-token-meter", route.id, None, False),
        ("llm-auth", None, service.id, True),
        ("key-auth", route.id, None, True),
        ("llm-auth", None, None, True),
    ]


def test_ids_are_the_same_at_every_start():
    assert parse_declaration(NESTED) == parse_declaration(NESTED)


def test_a_service_without_a_url_is_given_in_parts():
    declaration = parse_declaration(
        '_format_version: "3.0"\n'
        "services: [{name: a, host: a.example, port: 81, protocol: http, path: /x}]\n"
        "routes: [{name: r, hosts: [A.example], service: {name: a}}]\n"
    )
    service = declaration.services[0]
    assert (service.host, service.port, service.path) == ("a.example", 81, "/x")
    assert declaration.routes[0].service == service
    assert declaration.routes[0].hosts == ("a.example",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("services: []", "_format_version"),
        ("- a list", "must be a mapping"),
        ('_format_version: "3.0"\nupstreams: []', "does not know upstreams"),
        ('_format_version: "3.0"\nservices: [{name: a}]', "needs a url or a host"),
        ('_format_version: "3.0"\nservices: [{url: "ftp://a"}]', "protocol must be"),
        ('_format_version: "3.0"\nroutes: [{name: r}]', "must set one of"),
        ('_format_version: "3.0"\nroutes: [{name: r, paths: ["v1"]}]', "should start with"),
        ('_format_version: "3.0"\nroutes: [{name: r, paths: ["~/("]}]', "is no regex"),
        ('_format_version: "3.0"\nroutes: [{paths: [/], service: b}]', "no service 'b'"),
        ('_format_version: "3.0"\nplugins: [{name: p, route: r}]', "no route 'r'"),
        ('_format_version: "3.0"\nplugins: [{name: p}, {name: p}]', "configured twice"),
        ('_format_version: "3.0"\nplugins: [{config: {}}]', "needs a name"),
    ],
)
def test_a_file_that_describes_no_gateway_is_an_error_that_says_where(content: str, message: str):
    with pytest.raises(ConfigError, match=message):
        parse_declaration(content)

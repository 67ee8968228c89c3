"""What `gatehouse kong enable` would do, without a Kong."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from policy_service.bundled import bundled
from policy_service.cli.kong.plan import (
    Change,
    Foreign,
    chosen_before,
    hanging_on,
    to_disable,
    to_enable,
)
from policy_service.cli.kong.wanted import TAG, Choices, Unusable, Wanted, declared, entities

Entities = dict[str, list[dict[str, Any]]]


def wanted(**choices: Any) -> list[Wanted]:
    return list(entities(declared(bundled("kong.yaml"), Choices(**choices))))


def empty() -> Entities:
    return {"services": [], "routes": [], "plugins": []}


def made(changes: list[Change], there: Entities) -> Entities:
    """What Kong has afterwards."""
    after = copy.deepcopy(there)
    for change in changes:
        entities = after[change.kind]
        if change.verb == "add":
            entities.append({"id": change.identity, **copy.deepcopy(dict(change.fields))})
        elif change.verb == "remove":
            after[change.kind] = [one for one in entities if one["id"] != change.identity]
        else:
            [entity] = [one for one in entities if one["id"] == change.identity]
            config = {**(entity.get("config") or {}), **change.fields.get("config", {})}
            entity |= {**change.fields, **({"config": config} if config else {})}
    return after


def test_what_was_added_needs_no_change_and_is_taken_away_whole() -> None:
    first = to_enable(wanted(), empty(), TAG, is_whole=True)
    there = made(first, empty())
    assert {change.verb for change in first} == {"add"}
    assert to_enable(wanted(), there, TAG, is_whole=True) == []
    assert made(to_disable(there, TAG), there) == empty()
    assert [change.identity for change in to_enable(wanted(), empty(), TAG, is_whole=True)] == [
        change.identity for change in first
    ], "a repeated request makes the same entities"


def test_each_entity_comes_behind_the_one_it_hangs_on() -> None:
    known = set()
    for change in to_enable(wanted(), empty(), TAG, is_whole=True):
        for holder in ("service", "route"):
            if holder in change.fields:
                assert change.fields[holder]["id"] in known
        known.add(change.identity)


def test_only_what_differs_is_sent_and_what_an_admin_added_stays() -> None:
    there = made(to_enable(wanted(), empty(), TAG, is_whole=True), empty())
    meter = next(one for one in there["plugins"] if one["name"] == "llm-token-meter")
    meter["config"] |= {"cache": False, "operation": "auto"}
    [change] = to_enable(wanted(), there, TAG, is_whole=True)
    assert change.fields == {"config": {"operation": "chat.completions"}}
    assert list(change.lines()) == [
        "~ plugin llm-token-meter on route llm-chat-completions",
        "    operation: auto → chat.completions",
    ]


def test_the_policy_services_address_is_the_services_and_every_plugins() -> None:
    changed = to_enable(wanted(policy_url="https://p.example"), empty(), TAG, is_whole=True)
    [service] = [one.fields for one in changed if one.kind == "services"]
    assert (service["protocol"], service["host"], service["port"]) == ("https", "p.example", 443)
    assert service["path"] == "/relay"
    urls = {one.fields["config"].get("policy_url") for one in changed if one.kind == "plugins"}
    assert urls == {"https://p.example", None}


@pytest.mark.parametrize("route", ["llm-models", "/v1/models", "/models"])
def test_one_route_can_be_chosen_by_name_or_path(route: str) -> None:
    names = [one.name for one in wanted(routes=[route]) if one.kind == "routes"]
    assert names == ["llm-models"]


def test_choosing_a_route_removes_no_other() -> None:
    there = made(to_enable(wanted(), empty(), TAG, is_whole=True), empty())
    assert to_enable(wanted(routes=["llm-models"]), there, TAG, is_whole=False) == []
    left = made(to_enable(wanted(routes=["llm-models"]), there, TAG, is_whole=True), there)
    assert [one["name"] for one in left["routes"]] == ["llm-models"]


def test_a_route_that_is_nowhere_is_said_with_those_that_are() -> None:
    with pytest.raises(Unusable, match="llm-chat-completions"):
        wanted(routes=["/v1/audio"])


@pytest.mark.parametrize("kind", ["services", "routes", "plugins"])
def test_what_has_not_our_tag_is_never_changed(kind: str) -> None:
    there = made(to_enable(wanted(), empty(), TAG, is_whole=True), empty())
    there[kind][0]["tags"] = ["somebody"]
    with pytest.raises(Foreign, match="not ours"):
        to_enable(wanted(), there, TAG, is_whole=True)


def test_others_things_on_ours_are_named_before_ours_goes() -> None:
    there = made(to_enable(wanted(), empty(), TAG, is_whole=True), empty())
    route = there["routes"][0]["id"]
    there["plugins"].append({"id": "x", "name": "cors", "route": {"id": route}, "tags": None})
    there["routes"].append(
        {"id": "y", "name": "own", "service": {"id": there["services"][0]["id"]}}
    )
    assert hanging_on(to_disable(there, TAG), there, TAG) == [
        "route own",
        "plugin cors on route llm-chat-completions",
    ]


def test_no_secret_is_shown() -> None:
    there = made(
        to_enable(wanted(policy_secret="one-in-clear"), empty(), TAG, is_whole=True), empty()
    )
    shown = [
        line
        for change in to_enable(wanted(policy_secret="another"), there, TAG, is_whole=True)
        for line in change.lines()
    ]
    assert "    policy_secret: (hidden) → (hidden)" in shown
    assert not any("clear" in line or "another" in line for line in shown)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda document: document.pop("services"), "services: Field required"),
        (
            lambda document: document.update(consumers=[]),
            r"kong.yaml:\d+: consumers: there is no such field here\nName a file with our",
        ),
        (
            lambda document: document["services"][0].pop("name"),
            r"kong.yaml:\d+: services\[0\].name: Field required",
        ),
        (lambda document: document["services"][0].update(url="relay:80"), "is no address"),
        (lambda document: document["services"].append(document["services"][0]), "is there twice"),
    ],
)
def test_a_file_that_cannot_be_used_is_told(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    document = yaml.safe_load(bundled("kong.yaml").read_text())
    change(document)
    path = tmp_path / "kong.yaml"
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(Unusable, match=said):
        list(entities(declared(path, Choices())))


def test_what_was_chosen_the_first_time_is_kept_when_it_is_not_said_again() -> None:
    first = Choices(
        policy_url="http://policy:8100",
        policy_secret="{vault://aws/ours}",
        hosts=["llm.example"],
    )
    there = made(
        to_enable(entities(declared(bundled("kong.yaml"), first)), empty(), TAG, is_whole=True),
        empty(),
    )
    there["services"][0] |= {"host": "moved-by-hand", "port": 80}
    there["routes"].pop()
    again = chosen_before(Choices(), there)
    changes = to_enable(
        entities(declared(bundled("kong.yaml"), again)),
        there,
        TAG,
        is_whole=True,
        keeps_address=True,
    )
    assert [change.verb for change in changes if change.kind != "plugins"] == ["add"]
    [route] = [change for change in changes if change.kind == "routes"]
    assert route.fields["hosts"] == ["llm.example"], "a new route answers where the others do"
    assert again.policy_url == "http://policy:8100"
    other = chosen_before(Choices(policy_url="http://new:8100", tag="other"), there)
    assert (other.policy_url, other.policy_secret, list(other.hosts)) == (
        "http://new:8100",
        None,
        [],
    )


def test_dates_merges_and_empty_lists_are_read_as_kong_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "kong.yaml"
    path.write_text(
        """
_format_version: "3.0"
services:
  - &first {name: first, url: http://relay:80, plugins: null, routes: [{name: a, paths: null}]}
  - <<: *first
    name: second
    routes: [{name: b, plugins: [{name: theirs, config: {since: 2026-11-30, share: 0.5}}]}]
"""
    )
    found = {one.name: one.fields for one in entities(declared(path, Choices()))}
    assert set(found) == {"first", "a", "second", "b", "theirs"}
    assert found["second"]["host"] == "relay"
    assert found["theirs"]["config"] == {"since": "2026-11-30", "share": 0.5}


def test_a_pattern_that_cannot_be_read_is_told_where_a_path_is_chosen(tmp_path: Path) -> None:
    document = yaml.safe_load(bundled("kong.yaml").read_text())
    document["services"][0]["routes"][0]["paths"] = ["~(?<half"]
    path = tmp_path / "kong.yaml"
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(Unusable, match=r"route llm-chat-completions: .*choose routes by their"):
        declared(path, Choices(routes=["/v1/models"]))
    assert declared(path, Choices(routes=["llm-models"]))["services"][0]["routes"]


@pytest.mark.parametrize("url", ["http://[", "http://h:99999", "relay:80", "http://h:0", ""])
def test_a_chosen_address_that_is_none_is_told(url: str) -> None:
    with pytest.raises(Unusable, match="write http://host:port"):
        wanted(policy_url=url)

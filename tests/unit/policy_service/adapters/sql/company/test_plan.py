from datetime import UTC, datetime
from typing import Any

import pytest

from policy_service.adapters.sql.company.plan import diff, plan
from policy_service.adapters.sql.company.words import line_of
from policy_service.adapters.sql.organisation.reading import Found
from policy_service.ports.organisation import Change, ChangeKind

NOW = datetime(2026, 11, 20, tzinfo=UTC)
Parts = dict[str, dict[str, Any]]


def key(name: str, team: str = "search", **others: Any) -> dict[str, Any]:
    return {"name": name, "team": team, "project": None, "expires_at": None, **others}


def lines(current: Parts, wanted: Parts, *, prune: bool = True) -> list[str]:
    found = Found("acme", current, {one: one for one in current})
    planned = plan(found, wanted, prune=prune, has_platform_roles=False, now=NOW)
    return [line_of(change) for change in planned.changes]


def test_nothing_differs_from_itself() -> None:
    parts = {"organisation:acme": {"name": "Acme"}, "key:search:a": key("a")}
    assert diff(parts, parts) == ()


def test_what_comes_goes_from_the_top_down_and_what_goes_from_the_bottom_up() -> None:
    top, bottom = {"organisation:acme": {"name": "Acme"}}, {"team:search": {"department": "r"}}
    both = {**bottom, **top}
    assert [one.subject for one in diff({}, both)] == ["organisation:acme", "team:search"]
    assert [one.subject for one in diff(both, {})] == ["team:search", "organisation:acme"]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            Change(ChangeKind.CHANGE, "team:s", {"name": "S"}, {"name": "Search"}),
            "~ team s: name S -> Search",
        ),
        (
            Change(ChangeKind.CHANGE, "user:al", {"team": "a"}, {"team": "b"}),
            "~ user al: team a -> b",
        ),
        (
            Change(ChangeKind.CHANGE, "user:al", {"is_active": True}, {"is_active": False}),
            "~ user al: is active yes -> no",
        ),
        (
            Change(ChangeKind.CHANGE, "team:s", {"allowed_models": None}, {"allowed_models": []}),
            "~ team s: allowed models none -> []",
        ),
        (
            Change(ChangeKind.REMOVE, "key:search:a", key("a"), None),
            "- key a of team search: revoked",
        ),
        (Change(ChangeKind.REMOVE, "team:s", {"name": "S"}, None), "- team s"),
    ],
)
def test_a_change_is_told_in_words(change: Change, line: str) -> None:
    assert line_of(change) == line


def test_a_key_that_another_team_has_now_is_the_same_key() -> None:
    assert lines({"key:a:k": key("k", "a")}, {"key:b:k": key("k", "b")}) == [
        "~ key k of team b: team a -> b"
    ]


def test_of_two_keys_of_one_name_none_is_taken_for_the_other() -> None:
    current = {"key:a:k": key("k", "a"), "key:b:k": key("k", "b")}
    assert lines(current, {"key:c:k": key("k", "c")}) == [
        "+ key k of team c",
        "- key k of team a: revoked",
        "- key k of team b: revoked",
    ]


def test_an_older_key_of_the_same_name_stays_as_long_as_the_file_has_the_name() -> None:
    current = {"key:search:k": key("k"), "key:search:k#key_1": key("k")}
    assert lines(current, {"key:search:k": key("k")}) == []
    assert len(lines(current, {})) == 2


def test_a_key_that_had_expired_is_not_worth_a_word() -> None:
    over = {"key:search:k": key("k", expires_at="2026-11-01T00:00:00+00:00")}
    assert lines(over, {}) == []
    assert lines({}, over) == []
    assert lines(over, over) == []
    assert lines(over, {"key:search:k": key("k")}) == [
        "~ key k of team search: expires at 2026-11-01T00:00:00+00:00 -> none"
    ]


def test_a_consumer_that_another_takes_a_name_from_goes_even_without_pruning() -> None:
    def consumer(username: str | None, custom_id: str | None) -> dict[str, Any]:
        return {"username": username, "custom_id": custom_id}

    current = {
        "consumer:username=a": consumer("a", None),
        "consumer:custom_id=7": consumer(None, "7"),
        "consumer:username=other": consumer("other", None),
    }
    wanted = {"consumer:username=a custom_id=7": consumer("a", "7")}
    assert lines(current, wanted, prune=False) == [
        "~ consumer username=a custom_id=7: custom id none -> 7",
        "- consumer custom_id=7",
    ]


def test_roles_on_the_platform_are_left_alone_by_a_file_that_does_not_speak_of_them() -> None:
    role = {"role": "platform_admin", "node": "platform:*", "subject": "group:x"}
    assert lines({"role:platform_admin@platform:* group:x": role}, {}) == []

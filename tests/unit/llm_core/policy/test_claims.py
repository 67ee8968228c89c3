"""What a token's claims mean in our terms."""

from datetime import UTC, datetime
from typing import Any

import pytest

from llm_core.policy.claims import ClaimNames, Claims, claims_of

NAMES = ClaimNames()


def read(names: ClaimNames = NAMES, **more: Any) -> Claims:
    return claims_of({"iss": "https://a.example", "sub": "4711", "exp": 1e9, **more}, names)


def test_every_claim_is_where_its_name_says() -> None:
    names = ClaimNames(
        user="preferred_username",
        team="org.team",
        project="https://acme.example/project",
        application="client_id",
        roles="realm_access.roles",
        clearance="clearance",
    )
    found = read(
        names,
        preferred_username="alice",
        email="alice@acme.example",
        email_verified=True,
        org={"team": "search"},
        client_id="batch",
        realm_access={"roles": ["auditor", "auditor", "member"]},
        groups=["/data science", "/staff"],
        clearance="secret",
        **{"https://acme.example/project": "ranking"},
    )
    assert found == Claims(
        issuer="https://a.example",
        subject="4711",
        expires_at=datetime.fromtimestamp(1e9, UTC),
        user="alice",
        email="alice@acme.example",
        team="search",
        project="ranking",
        application="batch",
        groups=("/data science", "/staff"),
        roles=("auditor", "member"),
        clearance="secret",
    )


def test_a_list_in_one_string_is_taken_apart_at_its_spaces() -> None:
    assert read(roles="auditor  member").roles == ("auditor", "member")


@pytest.mark.parametrize(
    "value", [None, 7, True, "", "a\nb", "a\x00", "\x7f", "a" * 401, ["search"], {"a": 1}, "\ud800"]
)
def test_what_is_no_plain_text_is_not_heeded(value: Any) -> None:
    assert read(team=value).team is None
    assert read(groups=[value, "/staff"]).groups == ("/staff",)


@pytest.mark.parametrize("confirmed", [False, "false", None, 0, "yes"])
def test_an_address_that_nobody_has_confirmed_is_not_heeded(confirmed: Any) -> None:
    assert read(email="ceo@acme.example", email_verified=confirmed).email is None
    assert read(email="ceo@acme.example").email is None
    assert read(email="ceo@acme.example", email_verified="true").email == "ceo@acme.example"


def test_a_name_that_is_empty_names_no_claim() -> None:
    assert read(ClaimNames(application=""), **{"": "admin"}).application is None


def test_a_subject_that_cannot_be_written_down_is_nobody() -> None:
    assert read(sub="a\r\nb").subject == ""


@pytest.mark.parametrize("end", [1e300, 10**400, float("inf")])
def test_an_end_beyond_the_calendar_is_its_last_second(end: float) -> None:
    assert read(exp=end).expires_at == datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize("end", [-1, float("nan"), True, "1e9", None, []])
def test_an_end_that_is_no_time_is_long_past(end: Any) -> None:
    assert read(exp=end).expires_at == datetime.fromtimestamp(0, UTC)


def test_only_so_many_groups_are_heeded() -> None:
    assert len(read(groups=[f"/g{number}" for number in range(5000)]).groups) == 200

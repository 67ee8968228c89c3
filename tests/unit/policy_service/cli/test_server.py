from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from policy_service.cli.server import AdminApi, ServerRefused, path_part

URL = "https://policy.test/"


def api(handler: Any, proof: str = "ga-1") -> AdminApi:
    return AdminApi(URL, proof, transport=httpx.MockTransport(handler))


def test_the_token_and_the_body_are_sent() -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"name": "user:alice"})

    with api(handler) as mine:
        assert mine.whoami() == {"name": "user:alice"}
        mine.ask("PUT", "/admin/v1/x", body={"a": 1}, query={"dry_run": "1"})
    assert str(seen[0].url) == "https://policy.test/admin/v1/whoami"
    assert seen[0].headers["authorization"] == "Bearer ga-1"
    assert (seen[1].content, str(seen[1].url.query, "ascii")) == (b'{"a":1}', "dry_run=1")


def test_what_needs_no_token_gets_none() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        assert "authorization" not in request.headers
        return httpx.Response(200, json={"issuer": "https://id.test"})

    with api(handler, "") as anybody:
        assert anybody.sign_in()["issuer"] == "https://id.test"


def test_an_answer_without_a_body_is_none() -> None:
    with api(lambda _: httpx.Response(204)) as mine:
        assert mine.ask("DELETE", "/admin/v1/x") is None


def _unreachable(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("secret detail", request=request)


@pytest.mark.parametrize(
    ("handler", "told", "status"),
    [
        (lambda _: httpx.Response(403, json={"error": {"message": "No role."}}), "No role.", 403),
        (lambda _: httpx.Response(500, text="<html>"), "answered 500", 500),
        (lambda _: httpx.Response(200, text="<html>"), "does not answer as", None),
        (_unreachable, "cannot be reached", None),
    ],
)
def test_a_refusal_is_told_in_a_sentence(handler: Any, told: str, status: int | None) -> None:
    with api(handler) as mine, pytest.raises(ServerRefused, match=told) as failure:
        mine.whoami()
    assert failure.value.status == status
    assert "secret" not in str(failure.value)


def test_a_post_whose_answer_was_lost_is_sent_again_and_done_once() -> None:
    seen: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["idempotency-key"])
        match len(seen):
            case 1:
                raise httpx.ReadError("lost", request=request)
            case 2:
                return httpx.Response(409, headers={"retry-after": "0"})
        return httpx.Response(201, json={"id": "key_1"})

    with api(handler) as mine:
        assert mine.ask("POST", "/admin/v1/keys", body={}) == {"id": "key_1"}
        mine.ask("POST", "/admin/v1/keys", body={})
    assert len(set(seen[:3])) == 1
    assert seen[3] != seen[0]


@pytest.mark.parametrize(
    ("method", "path", "tries"),
    [("POST", "/admin/v1/keys", 4), ("PUT", "/admin/v1/limits", 1), ("POST", "/v1/approvals", 1)],
)
def test_nothing_is_sent_again_for_ever_or_where_it_would_be_done_twice(
    method: str, path: str, tries: int
) -> None:
    seen: list[str | None] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("idempotency-key"))
        raise httpx.ReadError("lost", request=request)

    with api(handler) as mine, pytest.raises(ServerRefused, match="to the end"):
        mine.ask(method, path, body={})
    assert len(seen) == tries
    assert (seen[0] is not None) == (tries > 1)


def test_an_etag_is_read_and_sent_back() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={"id": "key_1"}, headers={"etag": '"1"'})
        assert request.headers["if-match"] == '"1"'
        return httpx.Response(204)

    with api(handler) as mine:
        told, etag = mine.ask_tagged("/admin/v1/keys/key_1")
        assert told == {"id": "key_1"}
        mine.ask("DELETE", "/admin/v1/keys/key_1", if_match=etag)


@pytest.mark.parametrize("typed", ["../x", "a/b", "a?b", "a#b", "%2e", "org:acme"])
def test_whatever_is_typed_stays_one_part_of_the_path(typed: str) -> None:
    part = path_part(typed)
    assert not set("/?#") & set(part)
    assert unquote(part) == typed


def test_no_token_is_sent_where_others_read_along() -> None:
    with pytest.raises(ServerRefused, match="https"):
        AdminApi("http://policy.test", "ga-1")

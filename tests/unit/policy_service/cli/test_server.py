from typing import Any

import httpx
import pytest

from policy_service.cli.server import AdminApi, ServerRefused

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


def test_no_token_is_sent_where_others_read_along() -> None:
    with pytest.raises(ServerRefused, match="https"):
        AdminApi("http://policy.test", "ga-1")

"""Failures of the admin API are problem details that hold what clients have always read."""

import pytest

from tests.fakes.running_service import ADMIN, Api

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/admin/v1/keys/key_none", 404, "not_found"),
        ("/admin/v1/nowhere", 404, "not_found"),
        ("/admin/v1/keys?limit=0", 400, "malformed_request"),
    ],
)
async def test_a_failure_is_told_both_ways(api: Api, path: str, status: int, code: str) -> None:
    answer = await api.client.get(path, headers=ADMIN)
    told = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, told["status"]) == (status, status)
    assert told["type"] == f"urn:gatehouse:error:{code}"
    assert told["detail"] == told["error"]["message"]
    assert told["error"]["code"] == code
    assert told["title"]


async def test_other_apis_have_openais_shape_as_ever(api: Api) -> None:
    answer = await api.post("/v1/decisions", b"{")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["type"] == "error"


async def test_a_fault_of_ours_is_a_problem_without_its_words(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a secret word")

    monkeypatch.setattr(type(api.opened.keys), "list_keys", fail)
    answer = await api.get("/admin/v1/keys")
    assert (answer.status_code, answer.json()["title"]) == (500, "Internal Server Error")
    assert "secret" not in answer.text

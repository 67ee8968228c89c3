from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import httpx
import pytest

from policy_service.cli.loopback import Answer, Loopback

STATE = "state-1"


def visited(visit: Callable[[str], object], timeout_s: float = 20) -> Answer | None:
    """What the loopback takes when a browser makes this visit."""
    with Loopback(STATE) as loopback, ThreadPoolExecutor(1) as pool:
        visiting: Future[object] = pool.submit(visit, loopback.redirect_uri)
        answer = loopback.wait(timeout_s)
        visiting.result(timeout=20)
    return answer


def test_the_answer_with_our_state_is_taken() -> None:
    def visit(uri: str) -> None:
        page = httpx.get(uri, params={"state": STATE, "code": "c1", "iss": "https://id.test"})
        assert page.status_code == 200
        assert "signed in" in page.text
        assert page.headers["cache-control"] == "no-store"

    assert visited(visit) == Answer("c1", None, "https://id.test")


def test_a_refusal_is_taken_with_its_reason() -> None:
    def visit(uri: str) -> None:
        told = {"state": STATE, "error": "access_denied", "error_description": "said no"}
        assert "not signed in" in httpx.get(uri, params=told).text

    answer = visited(visit)
    assert answer == Answer(None, "access_denied said no", None)


def test_answers_that_are_not_ours_are_turned_away_and_do_not_end_the_waiting() -> None:
    def visit(uri: str) -> None:
        for path, query in (
            ("/callback", {"code": "evil"}),
            ("/callback", {"code": "evil", "state": "other"}),
            ("/callback", {"state": STATE}),
            ("/favicon.ico", {"state": STATE, "code": "evil"}),
        ):
            base = uri.removesuffix("/callback")
            assert httpx.get(base + path, params=query).status_code == 400
        assert httpx.post(uri, params={"state": STATE, "code": "evil"}).status_code == 501
        httpx.get(uri, params={"state": STATE, "code": "c1"})

    assert visited(visit) == Answer("c1", None, None)


def test_waiting_ends() -> None:
    assert visited(lambda _: None, timeout_s=0.2) is None


def test_nothing_is_written_about_the_code(capfd: pytest.CaptureFixture[str]) -> None:
    visited(lambda uri: httpx.get(uri, params={"state": STATE, "code": "top-secret"}))
    shown = capfd.readouterr()
    assert "top-secret" not in shown.out + shown.err


def test_only_this_machine_can_reach_it() -> None:
    with Loopback(STATE) as loopback:
        assert loopback.redirect_uri.startswith("http://127.0.0.1:")
        assert loopback._server.server_address[0] == "127.0.0.1"

import base64
import json
import time
from typing import Any
from urllib.parse import urlencode

import pytest

from sandbox.gemini.access_token import GRANT_TYPE, exchange
from sandbox.refusal import Refusal


def encoded(document: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


def form(grant: str = GRANT_TYPE, algorithm: str = "RS256", **claims: Any) -> bytes:
    now = int(time.time())
    stated = {
        "iss": "a@p.iam.gserviceaccount.com",
        "scope": "s",
        "aud": "http://127.0.0.1/google/token",
        "iat": now,
        "exp": now + 3600,
        **claims,
    }
    assertion = f"{encoded({'alg': algorithm})}.{encoded(stated)}.c2ln"
    return urlencode({"grant_type": grant, "assertion": assertion}).encode()


def test_an_assertion_is_exchanged_for_a_token():
    answer = exchange(form(), "/google/token")
    assert answer["access_token"].startswith("ya29.sandbox-")
    assert answer["token_type"] == "Bearer"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "unsupported_grant_type"),
        (form(grant="password"), "unsupported_grant_type"),
        (form(algorithm="HS256"), "invalid_grant"),
        (form(iss="somebody"), "invalid_grant"),
        (form(scope=""), "invalid_scope"),
        (form(aud="https://example.com"), "invalid_grant"),
        (form(iat="now"), "invalid_grant"),
        (form(exp=int(time.time()) + 7200), "invalid_grant"),
        (form(iat=1, exp=3601), "invalid_grant"),
        (urlencode({"grant_type": GRANT_TYPE, "assertion": "a.b"}).encode(), "invalid_grant"),
        (urlencode({"grant_type": GRANT_TYPE, "assertion": "MQ.MQ."}).encode(), "invalid_grant"),
    ],
)
def test_a_wrong_assertion_is_refused_as_google_does(body: bytes, code: str):
    with pytest.raises(Refusal) as raised:
        exchange(body, "/google/token")
    assert raised.value.status == 400
    assert raised.value.body["error"] == code

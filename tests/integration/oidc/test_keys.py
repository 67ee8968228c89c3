"""An issuer's keys: found, renewed, kept through an outage, and never hammered for."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from llm_core.errors import PolicyUnavailable
from llm_core.policy.claims import Claims
from policy_service.adapters.oidc import OidcTokens
from policy_service.ports.tokens import NotProven
from tests.fixtures.oidc_issuer import DISCOVERY, JWKS, IssuerServer, MovingClock, key
from tests.integration.oidc.conftest import Verifying


async def is_believed(tokens: OidcTokens, token: str) -> bool:
    return isinstance(await tokens.verify(token), Claims)


@contextmanager
def background(tokens: OidcTokens) -> Iterator[None]:
    task = asyncio.create_task(tokens.run())
    try:
        yield
    finally:
        task.cancel()


async def eventually(tokens: OidcTokens, token: str, expected: bool) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                if await is_believed(tokens, token) is expected:
                    return
            except PolicyUnavailable:
                pass
            await asyncio.sleep(0.01)


async def test_keys_are_fetched_once_for_many_tokens(
    issuer: IssuerServer, tokens: OidcTokens
) -> None:
    found = await asyncio.gather(*(tokens.verify(issuer.token()) for _ in range(50)))
    assert all(isinstance(one, Claims) for one in found)
    assert issuer.asked == [DISCOVERY, JWKS]


async def test_who_is_given_up_does_not_end_the_fetch_for_the_others(
    issuer: IssuerServer, tokens: OidcTokens
) -> None:
    issuer.answers.clear()
    first, second = (asyncio.create_task(tokens.verify(issuer.token())) for _ in range(2))
    await issuer.arrived.wait()
    first.cancel()
    issuer.answers.set()
    assert isinstance(await second, Claims)
    assert first.cancelled()


async def test_a_new_key_is_found_with_the_first_token_that_names_it(
    issuer: IssuerServer, tokens: OidcTokens
) -> None:
    await tokens.verify(issuer.token())
    issuer.publish(key(), key("second"))
    new = issuer.token(signed_by=key("second"))
    found = await asyncio.gather(*(tokens.verify(new) for _ in range(20)))
    assert all(isinstance(one, Claims) for one in found)
    assert issuer.asked.count(JWKS) == 2
    assert await is_believed(tokens, issuer.token())


async def test_made_up_key_ids_do_not_hammer_the_issuer(
    issuer: IssuerServer, tokens: OidcTokens, clock: MovingClock
) -> None:
    await tokens.verify(issuer.token())
    # Made long before the keys were fetched: their key would be among them.
    old = issuer.claims(iat=int(clock().timestamp()) - 61)
    for number in range(200):
        assert not await is_believed(tokens, issuer.token(old, kid=f"made-up-{number}"))
    assert issuer.asked.count(JWKS) == 2
    clock.move(10)
    for number in range(200):
        assert not await is_believed(tokens, issuer.token(old, kid=f"made-up-{number}"))
    assert issuer.asked.count(JWKS) == 3


async def test_a_new_keys_token_is_no_forgery_while_the_issuer_may_not_be_asked(
    issuer: IssuerServer, tokens: OidcTokens, clock: MovingClock
) -> None:
    await tokens.verify(issuer.token())
    assert not await is_believed(tokens, issuer.token(kid="made-up"))
    issuer.publish(key(), key("second"))
    clock.move(1)
    fresh = issuer.claims(iat=int(clock().timestamp()))
    for claims in (fresh, issuer.claims(iat=None)):
        with pytest.raises(PolicyUnavailable):
            await tokens.verify(issuer.token(claims, signed_by=key("second")))
    assert issuer.asked.count(JWKS) == 2
    clock.move(9)
    assert await is_believed(tokens, issuer.token(fresh, signed_by=key("second")))


async def test_keys_that_were_swapped_are_gone_with_the_next_refresh(
    issuer: IssuerServer, verifying: Verifying
) -> None:
    tokens = verifying(refresh_s=0.05)
    old = issuer.token()
    with background(tokens):
        await eventually(tokens, old, expected=True)
        # The id is the same, the key is not.
        issuer.documents[JWKS] = {"keys": [key("second").jwk(kid="first")]}
        await eventually(tokens, old, expected=False)
        assert await is_believed(tokens, issuer.token(signed_by=key("second"), kid="first"))


async def test_a_token_without_a_key_id_may_be_of_any_key(
    issuer: IssuerServer, tokens: OidcTokens
) -> None:
    issuer.publish(key("second"), key())
    assert await is_believed(tokens, issuer.token(kid=None))


async def test_two_keys_of_one_id_are_both_tried(issuer: IssuerServer, tokens: OidcTokens) -> None:
    issuer.documents[JWKS] = {"keys": [key("second").jwk(kid="first"), key().jwk()]}
    assert await is_believed(tokens, issuer.token())
    assert await is_believed(tokens, issuer.token(signed_by=key("second"), kid="first"))


class TestOutages:
    async def test_known_keys_are_good_for_a_day(
        self, issuer: IssuerServer, tokens: OidcTokens, clock: MovingClock
    ) -> None:
        await tokens.verify(issuer.token())
        await issuer.stop()
        clock.move(24 * 3600 - 1)
        token = issuer.token(issuer.claims(exp=int(clock().timestamp()) + 300))
        assert await is_believed(tokens, token)
        clock.move(1)
        with pytest.raises(PolicyUnavailable):
            await tokens.verify(token)

    async def test_without_keys_nothing_can_be_told_until_the_issuer_is_back(
        self, issuer: IssuerServer, tokens: OidcTokens, clock: MovingClock
    ) -> None:
        await issuer.stop()
        for token in (issuer.token(), issuer.token(signed_by=key("mine"))):
            with pytest.raises(PolicyUnavailable) as refused:
                await tokens.verify(token)
            assert refused.value.status == 503
        await issuer.start()
        clock.move(2)
        assert await is_believed(tokens, issuer.token())

    async def test_what_is_no_proof_without_any_key_is_refused_meanwhile(
        self, issuer: IssuerServer, tokens: OidcTokens
    ) -> None:
        await issuer.stop()
        for token in (
            "a.b.c",
            issuer.token(alg="none"),
            issuer.token(issuer.claims(iss="https://evil.example")),
        ):
            assert isinstance(await tokens.verify(token), NotProven)

    async def test_a_key_that_is_unknown_while_nobody_can_be_asked_is_no_forgery_yet(
        self, issuer: IssuerServer, tokens: OidcTokens
    ) -> None:
        await tokens.verify(issuer.token())
        await issuer.stop()
        with pytest.raises(PolicyUnavailable):
            await tokens.verify(issuer.token(signed_by=key("second")))
        assert await is_believed(tokens, issuer.token())

    async def test_an_issuer_that_is_down_is_asked_rarely(
        self, issuer: IssuerServer, tokens: OidcTokens
    ) -> None:
        issuer.documents[DISCOVERY] = 503
        for _ in range(50):
            with pytest.raises(PolicyUnavailable):
                await tokens.verify(issuer.token())
        assert issuer.asked == [DISCOVERY]

    async def test_one_that_hangs_is_given_up(
        self, issuer: IssuerServer, verifying: Verifying
    ) -> None:
        tokens = verifying(timeout_s=0.1)
        issuer.answers.clear()
        with pytest.raises(PolicyUnavailable):
            await tokens.verify(issuer.token())

    async def test_a_service_that_started_without_its_issuer_recovers_by_itself(
        self, issuer: IssuerServer, verifying: Verifying, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        tokens = verifying(refresh_s=0.05)
        await issuer.stop()
        with background(tokens):
            with pytest.raises(PolicyUnavailable):
                await tokens.verify(issuer.token())
            await issuer.start()
            # Nobody asks: the clock stands still, so only the background can have fetched them.
            await eventually(tokens, issuer.token(), expected=True)
        told = [record.getMessage() for record in caplog.records if "keys of" in record.message]
        assert len(told) == 2
        assert "cannot be had" in told[0]

    async def test_one_issuer_that_is_down_is_nothing_to_another(
        self, issuer: IssuerServer, verifying: Verifying
    ) -> None:
        gone = issuer.trusted(
            issuer="https://gone.example", discovery_url="http://127.0.0.1:9/discovery"
        )
        tokens = verifying(gone, issuer.trusted())
        with background(tokens):
            assert await is_believed(tokens, issuer.token())
            with pytest.raises(PolicyUnavailable):
                await tokens.verify(issuer.token(issuer.claims(iss="https://gone.example")))


class TestDocuments:
    @pytest.mark.parametrize(
        ("path", "document"),
        [
            (DISCOVERY, 404),
            (DISCOVERY, "/elsewhere"),
            (DISCOVERY, b"no json"),
            (DISCOVERY, b"[1]"),
            (DISCOVERY, b"[" * 100_000),
            (DISCOVERY, b"\xff"),
            (DISCOVERY, b'{"a": "' + b"a" * 600_000 + b'"}'),
            (DISCOVERY, {"issuer": "https://evil.example", "jwks_uri": "{url}/keys"}),
            (DISCOVERY, {"issuer": "{url}/", "jwks_uri": "{url}/keys"}),
            (DISCOVERY, {"issuer": "{url}"}),
            (DISCOVERY, {"issuer": "{url}", "jwks_uri": 7}),
            (DISCOVERY, {"issuer": "{url}", "jwks_uri": "file:///etc/passwd"}),
            (DISCOVERY, {"issuer": "{url}", "jwks_uri": "http://user:pw@127.0.0.1/keys"}),
            (DISCOVERY, {"issuer": "{url}", "jwks_uri": "http://[::1/keys"}),
            (DISCOVERY, {"issuer": "{url}", "jwks_uri": "{url}/redirect"}),
            (JWKS, 500),
            (JWKS, {}),
            (JWKS, {"keys": {}}),
            (JWKS, {"keys": []}),
            (JWKS, {"keys": [7]}),
            (JWKS, {"keys": [key().jwk(use="enc")]}),
        ],
    )
    async def test_a_document_that_is_not_as_it_should_be_tells_nothing(
        self, issuer: IssuerServer, tokens: OidcTokens, path: str, document: Any
    ) -> None:
        good = issuer.documents
        issuer.documents = {**good, "/elsewhere": good[DISCOVERY], "/redirect": "/keys"}
        issuer.documents[path] = _filled(document, issuer.url)
        with pytest.raises(PolicyUnavailable):
            await tokens.verify(issuer.token())

    async def test_what_came_before_stays_when_a_later_document_is_broken(
        self, issuer: IssuerServer, tokens: OidcTokens
    ) -> None:
        await tokens.verify(issuer.token())
        issuer.documents[JWKS] = b"<html>maintenance</html>"
        with pytest.raises(PolicyUnavailable):
            await tokens.verify(issuer.token(kid="second"))
        assert await is_believed(tokens, issuer.token())

    async def test_keys_that_were_all_withdrawn_prove_nothing_any_more(
        self, issuer: IssuerServer, verifying: Verifying
    ) -> None:
        tokens = verifying()
        await tokens.verify(issuer.token())
        issuer.documents[JWKS] = {"keys": []}
        with pytest.raises(PolicyUnavailable):
            await tokens.verify(issuer.token(kid="second"))
        with pytest.raises(PolicyUnavailable):
            await tokens.verify(issuer.token())

    async def test_plain_http_keys_need_leave_too(
        self, issuer: IssuerServer, verifying: Verifying
    ) -> None:
        tokens = verifying(allow_http=False)
        with pytest.raises(PolicyUnavailable):
            await tokens.verify(issuer.token())
        assert issuer.asked == [DISCOVERY]

    async def test_an_issuer_reached_by_another_address_inside(
        self, issuer: IssuerServer, verifying: Verifying
    ) -> None:
        outside = "https://login.acme.example"
        tokens = verifying(
            issuer.trusted(issuer=outside, jwks_url=f"{issuer.url}{JWKS}", allow_http=False)
        )
        assert await is_believed(tokens, issuer.token(issuer.claims(iss=outside)))
        assert issuer.asked == [JWKS]


def _filled(document: Any, url: str) -> Any:
    if not isinstance(document, dict):
        return document
    return {
        name: value.replace("{url}", url) if isinstance(value, str) else value
        for name, value in document.items()
    }

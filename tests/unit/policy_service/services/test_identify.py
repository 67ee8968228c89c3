from collections.abc import Collection

import pytest

from llm_core.errors import PolicyUnavailable
from llm_core.policy.claims import Claims
from llm_core.policy.credential import Credential, KongConsumer
from policy_service.ports.callers import Identified, Unknown
from policy_service.ports.tokens import NotProven
from policy_service.services.identify import (
    IdentifyAnswer,
    identify,
)
from tests.fakes.clock import NOON
from tests.fakes.samples import CALLER

CLAIMS = Claims("https://id.test", "sub-1", NOON)


class FakeCallers:
    """Implements `Callers`."""

    def __init__(self, *, is_down: bool = False) -> None:
        self.is_down = is_down
        self.asked: list[object] = []

    async def by_key(self, api_key: str) -> Identified | Unknown:
        self.asked.append(api_key)
        if self.is_down:
            raise PolicyUnavailable("down")
        return Identified(CALLER, NOON) if api_key == "gk-1" else Unknown.REVOKED

    async def by_consumer(
        self, *, username: str | None, custom_id: str | None, groups: Collection[str] = ()
    ) -> Identified | Unknown:
        self.asked.append((username, custom_id, groups))
        is_known = custom_id == "c-1" or "staff" in groups
        return Identified(CALLER) if is_known else Unknown.UNPLACED

    async def by_claims(self, claims: Claims) -> Identified | Unknown:
        self.asked.append(claims)
        return Identified(CALLER, claims.expires_at)


class FakeTokens:
    """Implements `Tokens`."""

    async def verify(self, token: str) -> Claims | NotProven:
        if token == "a.b.good":
            return CLAIMS
        return NotProven(Unknown.EXPIRED, "an hour ago")

    async def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (Credential(api_key="gk-1"), IdentifyAnswer(CALLER, NOON)),
        (Credential(api_key="gk-2"), IdentifyAnswer(unknown=Unknown.REVOKED)),
        (Credential(consumer=KongConsumer(custom_id="c-1")), IdentifyAnswer(CALLER)),
        (Credential(consumer=KongConsumer(groups=("staff",))), IdentifyAnswer(CALLER)),
        (
            Credential(consumer=KongConsumer(username="shop")),
            IdentifyAnswer(unknown=Unknown.UNPLACED),
        ),
        (Credential(token="a.b.good"), IdentifyAnswer(CALLER, NOON)),
        (
            Credential(token="a.b.bad"),
            IdentifyAnswer(unknown=Unknown.EXPIRED, detail="an hour ago"),
        ),
    ],
)
async def test_who_is_behind_a_credential(request_: Credential, expected: IdentifyAnswer) -> None:
    assert await identify(request_, FakeCallers(), FakeTokens()) == expected


async def test_where_no_issuer_is_trusted_a_token_is_unknown() -> None:
    callers = FakeCallers()
    answer = await identify(Credential(token="a.b.good"), callers)
    assert answer == IdentifyAnswer(unknown=Unknown.UNKNOWN)
    assert callers.asked == []


@pytest.mark.parametrize("key", [None, "", "g" * 513])
async def test_what_cannot_be_a_key_is_not_looked_up(key: str | None) -> None:
    callers = FakeCallers()
    assert (await identify(Credential(api_key=key), callers)).caller is None
    assert callers.asked == []


async def test_a_database_that_cannot_say_has_not_said_no() -> None:
    with pytest.raises(PolicyUnavailable):
        await identify(Credential(api_key="gk-1"), FakeCallers(is_down=True))


def test_what_was_sent_is_not_in_what_is_shown_of_it() -> None:
    assert "gk-1" not in f"{Credential(api_key='gk-1')!r}"

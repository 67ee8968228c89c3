import pytest

from llm_core.errors import PolicyUnavailable
from llm_core.policy.caller import Caller
from policy_service.services.identify import ConsumerClaim, IdentifyRequest, identify
from tests.fakes.samples import CALLER


class FakeCallers:
    """Implements `Callers`."""

    def __init__(self, *, is_down: bool = False) -> None:
        self.is_down = is_down
        self.asked: list[object] = []

    async def by_key(self, api_key: str) -> Caller | None:
        self.asked.append(api_key)
        if self.is_down:
            raise PolicyUnavailable("down")
        return CALLER if api_key == "gk-1" else None

    async def by_consumer(self, *, username: str | None, custom_id: str | None) -> Caller | None:
        self.asked.append((username, custom_id))
        return CALLER if custom_id == "c-1" else None


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (IdentifyRequest(api_key="gk-1"), CALLER),
        (IdentifyRequest(api_key="gk-2"), None),
        (IdentifyRequest(consumer=ConsumerClaim(custom_id="c-1")), CALLER),
        (IdentifyRequest(consumer=ConsumerClaim(username="shop")), None),
    ],
)
async def test_who_is_behind_a_credential(
    request_: IdentifyRequest, expected: Caller | None
) -> None:
    assert (await identify(request_, FakeCallers())).caller == expected


@pytest.mark.parametrize("key", [None, "", "g" * 513])
async def test_what_cannot_be_a_key_is_not_looked_up(key: str | None) -> None:
    callers = FakeCallers()
    assert (await identify(IdentifyRequest(api_key=key), callers)).caller is None
    assert callers.asked == []


async def test_a_database_that_cannot_say_has_not_said_no() -> None:
    with pytest.raises(PolicyUnavailable):
        await identify(IdentifyRequest(api_key="gk-1"), FakeCallers(is_down=True))

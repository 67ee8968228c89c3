"""A moderation model of the catalogue, asked through the gateway itself."""

from dataclasses import replace
from pathlib import Path

import pytest

from llm_core.errors import ContentBlocked, ScreeningUnavailable
from llm_core.policy.decision import PiiMode, Reason
from llm_core.tokens.counted import LazyCounter
from policy_service.services.moderation import Moderator
from policy_service.services.own_calls import OwnCalls
from policy_service.services.screening import Screening
from tests.fakes.policy import FakePolicy
from tests.fixtures.screened import pii
from tests.fixtures.screening_service import Case, screening_service

pytestmark = pytest.mark.integration

# The model is an echo: it says `safe` when the words begin with it.
CONTENT = {
    "guards": {
        "moderated": {
            "injections": True,
            "moderation": {"model": "echo", "instructions": "Is it safe?", "passes": "Safe"},
        }
    },
    "injection_phrases": ["ignore * previous instructions"],
}


def moderated(case: Case, policy: FakePolicy) -> None:
    """Have moderation decided by `policy`."""
    case.pool.use(CONTENT)
    relay = case.opened.relay
    inner = replace(relay, screening=Screening(case.pool, is_moderating=True))
    moderator = Moderator(
        OwnCalls(replace(case.opened.decider, policy=policy), inner), LazyCounter()
    )
    object.__setattr__(relay, "screening", Screening(case.pool, moderator))


async def test_the_model_gets_redacted_words_and_what_it_says_decides(
    tmp_path: Path, redis_url: str
) -> None:
    obligations = pii(PiiMode.REDACT, guard="moderated")
    async with screening_service(tmp_path, redis_url) as case:
        # The caller's own obligations hold for the moderation call as well, but for moderation.
        policy = FakePolicy(obligations=obligations)
        moderated(case, policy)
        fine = await case.ask("safe: write to bob@example.org", obligations)
        assert fine.status_code == 200
        first, second = case.asked
        assert "Is it safe?" in first
        assert "safe: write to <EMAIL_ADDRESS_1>" in first
        assert "Is it safe?" not in second

        refused = await case.ask("sing a song", obligations)
        assert refused.status_code == ContentBlocked.status
        assert refused.json()["error"]["kinds"] == ["MODERATION"]
        assert len(case.asked) == 3

        policy.reasons = (Reason("model_not_allowed", "Not for you.", "llm.models"),)
        unmoderated = await case.ask("safe: hello", obligations)
        assert unmoderated.status_code == ScreeningUnavailable.status
        assert len(case.asked) == 3

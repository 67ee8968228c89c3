"""How well personal data is found: no change may make it worse unnoticed."""

import pytest

from policy_service.adapters.screening import ScreeningPool
from tests.fixtures.pii_corpus import corpus, counted

pytestmark = pytest.mark.integration

LEAST_RECALL = 0.97
LEAST_PRECISION = 0.95
KNOWN_TO_BE_LOWER = {
    # A third of the names stand without a title, and every third number without a cue.
    "PERSON": 0.55,
    "NL_BSN": 0.55,
}


async def test_recall_and_precision_of_every_kind_stay_above_their_floors() -> None:
    examples = list(corpus(seed=7, size=3000))
    pool = ScreeningPool({}, timeout_s=120.0)
    try:
        found = await pool.find([one.text for one in examples], ())
    finally:
        await pool.close()
    for kind, counts in counted(examples, found).items():
        least = KNOWN_TO_BE_LOWER.get(kind, LEAST_RECALL)
        assert counts.gold == 0 or counts.recall >= least, (kind, counts)
        assert counts.gold == 0 or counts.precision >= LEAST_PRECISION, (kind, counts)
        # Of kinds that the corpus has none of, next to nothing is found.
        assert counts.gold > 0 or counts.wrong <= 5, (kind, counts)


def test_the_same_seed_gives_the_same_corpus() -> None:
    assert list(corpus(1, 50)) == list(corpus(1, 50))
    assert list(corpus(1, 50)) != list(corpus(2, 50))

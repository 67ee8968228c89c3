from collections.abc import Sequence

import pytest

from policy_service.adapters.sql.callers import effective_models


@pytest.mark.parametrize(
    ("levels", "allowed"),
    [
        ([], ()),
        ([None, None], ()),
        ([["*"]], ("*",)),
        ([["*"], None, ["*"]], ("*",)),
        ([["*"], ["b", "a"]], ("b", "a")),
        ([["a", "b"], ["*"]], ("a", "b")),
        ([["a", "b", "c"], None, ["c", "b"]], ("c", "b")),
        ([["a"], ["b"]], ()),
        ([["a"], []], ()),
        ([[], ["*"]], ()),
        ([[], ["a"]], ()),
        ([["a", "*"], ["b"]], ("b",)),
        ([["a", "a"]], ("a",)),
    ],
)
def test_every_level_with_a_word_must_allow_a_model(
    levels: list[Sequence[str] | None], allowed: tuple[str, ...]
):
    assert effective_models(levels) == allowed

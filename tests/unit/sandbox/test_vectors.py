import math

import pytest

from sandbox.openai.embeddings import DIMENSIONS, vector_for


def nearness(one: str, other: str) -> float:
    return sum(a * b for a, b in zip(vector_for(one), vector_for(other), strict=True))


def test_a_text_has_the_same_vector_every_time_and_it_is_one_long():
    vector = vector_for("the great rivers")
    assert vector == vector_for("The great  rivers")
    assert len(vector) == DIMENSIONS
    assert math.hypot(*vector) == pytest.approx(1.0, rel=1e-6)
    assert len(vector_for("", 3)) == 3


def test_texts_that_share_words_are_near_each_other():
    assert nearness("the great rivers", "great rivers") > nearness("the great rivers", "a cat")

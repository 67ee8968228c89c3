import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.answers import Finish, Question, Tool, answer_to
from sandbox.tokens import count, pieces

DIGEST = "3f2a9c1d" * 8
WEATHER = Tool("get_weather", {"type": "object", "properties": {"city": {"type": "string"}}})
TIME = Tool("get_time", {"type": "object"})


@settings(deadline=None)
@given(st.text())
def test_pieces_are_as_many_as_words_and_lose_nothing_but_trailing_space(text: str):
    assert len(pieces(text)) == count(text)
    assert "".join(pieces(text)) == text.rstrip()


@pytest.mark.parametrize("words", [1, 4, 24, 500])
def test_an_answer_has_the_length_asked_for(words: int):
    answer = answer_to(Question(DIGEST, "hello there", words=words))
    assert answer.output_tokens == words
    assert answer.finish is Finish.STOP


@settings(deadline=None)
@given(most=st.integers(1, 80), thinking=st.integers(0, 40), text=st.text())
def test_no_answer_is_longer_than_allowed(most: int, thinking: int, text: str):
    question = Question(
        DIGEST, f"tool {text}", tools=(WEATHER, TIME), max_tokens=most, thinking_tokens=thinking
    )
    answer = answer_to(question)
    assert answer.output_tokens <= most
    free = answer_to(Question(DIGEST, f"tool {text}", tools=(WEATHER, TIME)))
    is_short = free.output_tokens + thinking <= most
    assert (answer.finish is Finish.TOOL_CALLS) == is_short


def test_the_first_stop_sequence_in_the_text_ends_it():
    answer = answer_to(Question(DIGEST, "one two three", stops=("three", "two")))
    assert answer.finish is Finish.STOP_SEQUENCE
    assert answer.stop_sequence == "two"
    assert answer.text.endswith("one")


@pytest.mark.parametrize(
    ("question", "names"),
    [
        (Question(DIGEST, "use a tool", tools=(WEATHER, TIME)), ["get_weather"]),
        (Question(DIGEST, "tools parallel", tools=(WEATHER,)), ["get_weather"] * 2),
        (Question(DIGEST, "tool", tools=(WEATHER,), is_user_turn=False), []),
        (Question(DIGEST, "hello", tools=(WEATHER,)), []),
        (Question(DIGEST, "hello", tools=(TIME,), is_tool_forced=True), ["get_time"]),
        (Question(DIGEST, "tool"), []),
    ],
)
def test_tools_are_called_when_the_text_or_the_choice_says_so(question: Question, names: list[str]):
    assert [call.name for call in answer_to(question).calls] == names


def test_choices_differ():
    question = Question(DIGEST, "hello")
    assert answer_to(question, 0) != answer_to(question, 1)

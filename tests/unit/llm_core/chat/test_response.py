from llm_core.chat.response import choice, completion, usage_from_openai, usage_to_openai
from llm_core.tokens.usage import TokenUsage

FULL = TokenUsage(
    input_tokens=100,
    cached_input_tokens=40,
    cache_write_tokens=10,
    input_audio_tokens=5,
    input_image_tokens=6,
    output_tokens=50,
    reasoning_tokens=30,
    output_audio_tokens=2,
)


def test_usage_survives_being_written_and_read():
    assert usage_from_openai(usage_to_openai(FULL)) == FULL
    small = TokenUsage(input_tokens=1, output_tokens=0)
    assert usage_from_openai(usage_to_openai(small)) == small


def test_usage_is_written_as_openai_writes_it():
    assert usage_to_openai(FULL) == {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "total_tokens": 150,
        "prompt_tokens_details": {
            "cached_tokens": 40,
            "cache_write_tokens": 10,
            "audio_tokens": 5,
            "image_tokens": 6,
        },
        "completion_tokens_details": {"reasoning_tokens": 30, "audio_tokens": 2},
    }


def test_what_is_no_token_count_was_not_reported():
    """Counts decide what is charged: a negative or a boolean one must not."""
    strange = {
        "prompt_tokens": "12",
        "completion_tokens": -1,
        "prompt_tokens_details": {"cached_tokens": 10**18},
        "completion_tokens_details": {"reasoning_tokens": True},
    }
    assert usage_from_openai(strange) == TokenUsage()


def test_usage_that_is_half_known_is_left_out_of_an_answer():
    said = choice(message={"role": "assistant", "content": "hi"}, finish_reason="stop")
    body = completion(id_="a", model="m", choices=[said], usage=TokenUsage(input_tokens=3))
    assert "usage" not in body
    assert body["choices"][0]["message"] == {"role": "assistant", "content": "hi"}

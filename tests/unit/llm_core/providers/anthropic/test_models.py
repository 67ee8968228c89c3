import pytest

from llm_core.providers.anthropic.models import Thinking, capabilities_of


@pytest.mark.parametrize(
    ("model", "thinking", "efforts", "takes"),
    [
        ("claude-3-opus-20240229", Thinking.NONE, 0, (True, True, False)),
        ("claude-3-7-sonnet-20250219", Thinking.BUDGET, 0, (True, True, False)),
        ("claude-opus-4-20250514", Thinking.BUDGET, 0, (True, True, False)),
        ("claude-opus-4-1-20250805", Thinking.BUDGET, 0, (True, True, False)),
        ("claude-sonnet-4-5", Thinking.BUDGET, 0, (True, True, True)),
        ("claude-haiku-4-5-20251001", Thinking.BUDGET, 0, (True, True, True)),
        ("claude-opus-4-5-20251101", Thinking.BUDGET, 3, (True, True, True)),
        ("claude-sonnet-4-6", Thinking.ADAPTIVE, 4, (True, True, True)),
        ("claude-opus-4-7", Thinking.ADAPTIVE, 5, (False, True, True)),
        ("claude-sonnet-5", Thinking.ADAPTIVE, 5, (False, True, True)),
        ("claude-opus-5-5", Thinking.ADAPTIVE, 5, (False, False, True)),
        ("claude-sonnet-5-5", Thinking.ADAPTIVE, 5, (False, False, True)),
        ("claude-haiku-5-5", Thinking.ADAPTIVE, 5, (False, True, True)),
        ("claude-fable-5", Thinking.ADAPTIVE, 5, (False, True, True)),
        ("claude-fable-5-1", Thinking.ADAPTIVE, 5, (False, False, True)),
        ("claude-mythos-preview", Thinking.ADAPTIVE, 5, (False, True, True)),
        ("our-own-alias", Thinking.ADAPTIVE, 5, (False, True, True)),
    ],
)
def test_a_models_name_says_what_it_takes(
    model: str, thinking: Thinking, efforts: int, takes: tuple[bool, bool, bool]
):
    """`takes`: sampling, forced tools, schemas."""
    found = capabilities_of(model, "2023-06-01")
    assert found.thinking is thinking
    assert len(found.efforts) == efforts
    assert (found.takes_sampling, found.takes_forced_tools, found.takes_schemas) == takes


def test_the_newer_api_version_takes_no_sampling_from_anybody():
    assert not capabilities_of("claude-sonnet-4-5", "2026-10-21").takes_sampling

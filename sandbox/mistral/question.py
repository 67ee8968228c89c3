"""Reads a checked Mistral request: what is asked, and how long the prompt is."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sandbox.answers import Question
from sandbox.openai.question import PromptSize
from sandbox.openai.question import prompt_size as openai_prompt_size
from sandbox.openai.question import question_from as openai_question
from sandbox.wishes import Wishes

_EFFORT_TOKENS = {"minimal": 8, "low": 16, "medium": 32, "high": 64, "xhigh": 128, "max": 256}
_ALWAYS = "magistral"
_NATIVE_TOKENS = 24


def question_from(payload: Mapping[str, Any], wishes: Wishes) -> Question:
    """Read what is asked; much is as at OpenAI."""
    asked = dict(payload)
    if asked.get("tool_choice") == "any":
        asked["tool_choice"] = "required"
    effort = payload.get("reasoning_effort") or "none"
    tokens = _NATIVE_TOKENS if wishes.model.startswith(_ALWAYS) else 0
    return replace(
        openai_question(asked, wishes), thinking_tokens=_EFFORT_TOKENS.get(effort, tokens)
    )


def prompt_size(payload: Mapping[str, Any]) -> PromptSize:
    """Count the prompt; nothing is cached unless the request has a key for the cache."""
    size = openai_prompt_size(payload)
    return size if payload.get("prompt_cache_key") else PromptSize(size.total, 0)

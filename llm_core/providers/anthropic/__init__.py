"""Anthropic's Messages API."""

from llm_core.providers.anthropic.translator import AnthropicTranslator

__all__ = ["AnthropicTranslator"]

"""Mistral's chat and embeddings APIs."""

from llm_core.providers.mistral.embeddings import MistralEmbeddings
from llm_core.providers.mistral.translator import MistralTranslator

__all__ = ["MistralEmbeddings", "MistralTranslator"]

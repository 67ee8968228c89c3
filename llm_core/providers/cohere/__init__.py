"""Cohere's chat and embeddings APIs, version 2."""

from llm_core.providers.cohere.embeddings import CohereEmbeddings
from llm_core.providers.cohere.translator import CohereTranslator

__all__ = ["CohereEmbeddings", "CohereTranslator"]

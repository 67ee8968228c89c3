"""Google's Gemini API, at Google AI and at Vertex AI."""

from llm_core.providers.gemini.embeddings import (
    GeminiEmbeddingsTranslator,
    VertexEmbeddingsTranslator,
)
from llm_core.providers.gemini.translator import GeminiTranslator, VertexTranslator

__all__ = [
    "GeminiEmbeddingsTranslator",
    "GeminiTranslator",
    "VertexEmbeddingsTranslator",
    "VertexTranslator",
]

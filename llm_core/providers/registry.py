"""Which translator speaks which wire format."""

from collections.abc import Callable, Mapping

from llm_core.catalogue import ProviderKind
from llm_core.providers.anthropic import AnthropicTranslator
from llm_core.providers.azure_openai import AzureOpenAITranslator
from llm_core.providers.bedrock import BedrockEmbeddingsTranslator, BedrockTranslator
from llm_core.providers.cohere import CohereEmbeddings, CohereTranslator
from llm_core.providers.gemini import (
    GeminiEmbeddingsTranslator,
    GeminiTranslator,
    VertexEmbeddingsTranslator,
    VertexTranslator,
)
from llm_core.providers.mistral import MistralEmbeddings, MistralTranslator
from llm_core.providers.openai import OpenAITranslator
from llm_core.providers.openai_compatible import OpenAICompatibleTranslator
from llm_core.providers.openai_embeddings import (
    AzureOpenAIEmbeddings,
    OpenAICompatibleEmbeddings,
    OpenAIEmbeddings,
)
from llm_core.providers.translator import EmbeddingsTranslator, Translator

_TRANSLATORS: Mapping[ProviderKind, Callable[[], Translator]] = {
    ProviderKind.OPENAI: OpenAITranslator,
    ProviderKind.AZURE_OPENAI: AzureOpenAITranslator,
    ProviderKind.OPENAI_COMPATIBLE: OpenAICompatibleTranslator,
    ProviderKind.ANTHROPIC: AnthropicTranslator,
    ProviderKind.GEMINI: GeminiTranslator,
    ProviderKind.VERTEX: VertexTranslator,
    ProviderKind.BEDROCK: BedrockTranslator,
    ProviderKind.MISTRAL: MistralTranslator,
    ProviderKind.COHERE: CohereTranslator,
}
# Anthropic has no embeddings.
_EMBEDDINGS: Mapping[ProviderKind, Callable[[], EmbeddingsTranslator]] = {
    ProviderKind.OPENAI: OpenAIEmbeddings,
    ProviderKind.AZURE_OPENAI: AzureOpenAIEmbeddings,
    ProviderKind.OPENAI_COMPATIBLE: OpenAICompatibleEmbeddings,
    ProviderKind.GEMINI: GeminiEmbeddingsTranslator,
    ProviderKind.VERTEX: VertexEmbeddingsTranslator,
    ProviderKind.BEDROCK: BedrockEmbeddingsTranslator,
    ProviderKind.MISTRAL: MistralEmbeddings,
    ProviderKind.COHERE: CohereEmbeddings,
}


def translator_for(kind: ProviderKind) -> Translator:
    """Give the translator; translators keep nothing between calls, so a new one costs nothing."""
    return _TRANSLATORS[kind]()


def embeddings_translator_for(kind: ProviderKind) -> EmbeddingsTranslator | None:
    """Give the translator; `None` for a provider that has no embeddings."""
    made = _EMBEDDINGS.get(kind)
    return None if made is None else made()

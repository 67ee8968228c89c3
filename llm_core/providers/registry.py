"""Which translator speaks which wire format."""

from llm_core.catalogue import ProviderKind
from llm_core.providers.anthropic import AnthropicTranslator
from llm_core.providers.azure_openai import AzureOpenAITranslator
from llm_core.providers.openai import OpenAITranslator
from llm_core.providers.openai_compatible import OpenAICompatibleTranslator
from llm_core.providers.translator import EmbeddingsTranslator, Translator


def translator_for(kind: ProviderKind) -> Translator:
    """Give the translator; translators keep nothing between calls, so a new one costs nothing."""
    match kind:
        case ProviderKind.OPENAI:
            return OpenAITranslator()
        case ProviderKind.AZURE_OPENAI:
            return AzureOpenAITranslator()
        case ProviderKind.OPENAI_COMPATIBLE:
            return OpenAICompatibleTranslator()
        case ProviderKind.ANTHROPIC:
            return AnthropicTranslator()


def embeddings_translator_for(kind: ProviderKind) -> EmbeddingsTranslator | None:
    """Give the translator; `None` for a provider that has no embeddings."""
    match kind:
        case ProviderKind.ANTHROPIC:
            return None

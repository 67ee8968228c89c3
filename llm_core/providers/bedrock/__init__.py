"""Amazon Bedrock Runtime: Converse, ConverseStream and its embedding models."""

from llm_core.providers.bedrock.embeddings import BedrockEmbeddingsTranslator
from llm_core.providers.bedrock.translator import BedrockTranslator

__all__ = ["BedrockEmbeddingsTranslator", "BedrockTranslator"]

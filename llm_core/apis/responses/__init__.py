"""OpenAI's Responses API, natively where it is served and translated to chat everywhere else."""

from llm_core.apis.responses.ask import ResponsesAsk, read_responses

__all__ = ["ResponsesAsk", "read_responses"]

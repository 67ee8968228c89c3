"""Servers that speak OpenAI's format: vLLM, Ollama, TGI, llama.cpp and many more.

They differ from OpenAI in what they leave out. A field that only means something on OpenAI's
platform is dropped, because some of these servers refuse what they do not know; a vendor's own
field is passed on, unless it would choose what policy decides (`openai_refusals`).

Source:
    https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html (checked 2026-11-20)
    https://github.com/ollama/ollama/blob/main/docs/openai.md (checked 2026-11-20)
"""

from collections.abc import Mapping
from typing import Any

from llm_core.providers.openai import OpenAITranslator
from llm_core.providers.openai_refusals import REFUSED, refuse

_PLATFORM_ONLY = (
    "store",
    "metadata",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "moderation",
)


class OpenAICompatibleTranslator(OpenAITranslator):
    """Speaks to a server that imitates OpenAI."""

    name = "The model server"

    def refuse(self, fields: Mapping[str, Any]) -> None:
        """Refuse what is not the caller's to choose.

        `store` and `service_tier` are not refused: they never reach the server.
        """
        refuse(fields, self.name, REFUSED)

    def fields(self, fields: dict[str, Any], dropped: list[str]) -> dict[str, Any]:
        """Adapt a copy of the request's fields; what is left out is named in `dropped`.

        The longest answer goes by its older name, which every server knows, and `developer` becomes
        `system`, because the models' chat templates do not know the newer role.
        """
        newer = fields.pop("max_completion_tokens", None)
        if newer is not None:
            fields["max_tokens"] = newer
        for name in _PLATFORM_ONLY:
            if fields.pop(name, None) is not None:
                dropped.append(name)
        fields["messages"] = [
            {**message, "role": "system"} if message["role"] == "developer" else message
            for message in fields["messages"]
        ]
        return fields

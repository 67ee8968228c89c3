"""What is known of servers that speak OpenAI's format, by the name a deployment's `vendor` has.

Facts, and no code: `openai_compatible` reads them. A field is *refused* where leaving it out would
give the caller something else than was asked for, *dropped* where it is a mere tuning knob that the
server lacks. Some servers lack a field silently, which is as bad as doing something else.

How well each is known: Ollama's list of fields was read whole (docs/api/openai-compatibility.mdx of
its repository), and what is said of DeepSeek's thinking stands on its page; of TGI, Groq, DeepSeek
and xAI what has a link here, and what their pages said in excerpts, was seen on 2026-11-20. The
rest, all of Together and Fireworks among it, is not checked against the vendor's page.

OpenRouter is not among them: it chooses the provider of each call by itself, past what policy knows
of regions and agreements.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

_FEE = "what a call costs is decided before it is made."
_PROMPT = "the prompt is sent as it was counted."
_ONE_ANSWER = "it gives one answer at a time."
_NO_PROBABILITIES = "it does not tell probabilities."
_NO_BIAS = ("logit_bias",)


@dataclass(frozen=True, slots=True)
class Server:
    """What one server, or one vendor's service, takes and gives.

    Args:
        label: Its name for a sentence.
        page: Where the vendor says so.
        base_url: Of the vendor's service; `None` for software that its user runs.
        price_provider: Who it is in the public price list; `None` for software.
        refused: The field, and the end of a sentence that says why.
        dropped: Fields that are left out.
        longest_answer: What it calls the longest answer.
        takes_several_answers: Whether `n` may be more than one.
        takes_names: Whether a message may have a `name`.
        takes_developer: Whether `developer` is a role; else it is sent as `system`.
        takes_stream_options: Whether usage in a stream has to be asked for, and may be.
        takes_json_objects: Whether `response_format` may be `json_object`.
        takes_json_schemas: Whether `response_format` may be `json_schema`.
        takes_image_addresses: Whether an image may be a web address.
        takes_forced_tools: Whether `tool_choice` is looked at.
        chooses_tools_without_thinking: Whether it refuses a `tool_choice` while it thinks.
        cached_tokens: Where its usage has cached tokens, dotted.
        reasoning: Which member of a message holds what was thought, in answers and in a history.
        wants_reasoning_back: Whether each turn of the assistant must bring it, were it empty.
        message_members: All that a message may have; empty where others do no harm.
        without_thinking: What says that there shall be no thinking, where it is no effort `none`.
        wants_bare_schema: Whether a schema goes as `{type: json, value: schema}`.
    """

    label: str
    page: str
    base_url: str | None = None
    price_provider: str | None = None
    refused: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    dropped: tuple[str, ...] = ()
    longest_answer: str = "max_tokens"
    takes_several_answers: bool = True
    takes_names: bool = True
    takes_developer: bool = False
    takes_stream_options: bool = True
    takes_json_objects: bool = True
    takes_json_schemas: bool = True
    takes_image_addresses: bool = True
    takes_forced_tools: bool = True
    chooses_tools_without_thinking: bool = False
    cached_tokens: str = "prompt_tokens_details.cached_tokens"
    reasoning: str = "reasoning_content"
    wants_reasoning_back: bool = False
    message_members: tuple[str, ...] = ()
    without_thinking: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    wants_bare_schema: bool = False


SERVERS: Mapping[str, Server] = MappingProxyType(
    {
        "vllm": Server(
            label="vLLM",
            page="https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html",
            # https://github.com/vllm-project/vllm/issues/38488: the older name is not read.
            reasoning="reasoning",
        ),
        "ollama": Server(
            label="Ollama",
            page="https://docs.ollama.com/api/openai-compatibility",
            refused=MappingProxyType({"logprobs": _NO_PROBABILITIES}),
            dropped=(*_NO_BIAS, "user"),
            takes_several_answers=False,
            takes_image_addresses=False,
            takes_forced_tools=False,
            reasoning="reasoning",
        ),
        "tgi": Server(
            label="Text Generation Inference",
            page="https://huggingface.co/docs/text-generation-inference/messages_api",
            dropped=(*_NO_BIAS, "user", "parallel_tool_calls"),
            takes_several_answers=False,
            # https://github.com/huggingface/text-generation-inference/issues/2899: its JSON mode
            # wants a schema; and issues/3058, where it wants it.
            takes_json_objects=False,
            wants_bare_schema=True,
        ),
        "groq": Server(
            label="Groq",
            page="https://console.groq.com/docs/openai",
            base_url="https://api.groq.com/openai/v1",
            price_provider="groq",
            refused=MappingProxyType(
                {
                    "logprobs": _NO_PROBABILITIES,
                    "top_logprobs": _NO_PROBABILITIES,
                    "search_settings": _FEE,
                    "compound_custom": _FEE,
                }
            ),
            dropped=_NO_BIAS,
            longest_answer="max_completion_tokens",
            takes_several_answers=False,
            takes_names=False,
            reasoning="reasoning",
            # It refuses what it does not know in a message too, its own `reasoning` with models
            # that do not reason: https://github.com/vercel/ai/pull/8057 and
            # https://github.com/tashfeenahmed/freellmapi/issues/1070.
            message_members=("role", "content", "tool_calls", "tool_call_id"),
        ),
        "together": Server(
            label="Together AI",
            page="https://docs.together.ai/reference/chat-completions-1",
            base_url="https://api.together.xyz/v1",
            price_provider="together",
            refused=MappingProxyType(
                {
                    "safety_model": "what content may pass is decided by policy.",
                    "context_length_exceeded_behavior": _PROMPT,
                }
            ),
            reasoning="reasoning",
        ),
        "deepseek": Server(
            label="DeepSeek",
            page="https://api-docs.deepseek.com/api/create-chat-completion",
            base_url="https://api.deepseek.com",
            price_provider="deepseek",
            dropped=(*_NO_BIAS, "seed", "user", "parallel_tool_calls"),
            takes_several_answers=False,
            takes_json_schemas=False,
            takes_image_addresses=False,
            cached_tokens="prompt_cache_hit_tokens",
            # https://api-docs.deepseek.com/guides/thinking_mode, and what it answers without:
            # https://github.com/earendil-works/pi/issues/3835
            wants_reasoning_back=True,
            # https://github.com/deepseek-ai/DeepSeek-V3/issues/1376
            chooses_tools_without_thinking=True,
            without_thinking=MappingProxyType({"thinking": {"type": "disabled"}}),
        ),
        "xai": Server(
            label="xAI",
            page="https://docs.x.ai/docs/api-reference#chat-completions",
            base_url="https://api.x.ai/v1",
            price_provider="x-ai",
            refused=MappingProxyType(
                {"deferred": "its answer would come with another call, which nobody makes."}
            ),
            dropped=_NO_BIAS,
            longest_answer="max_completion_tokens",
        ),
        "fireworks": Server(
            label="Fireworks AI",
            page="https://docs.fireworks.ai/api-reference/post-chatcompletions",
            base_url="https://api.fireworks.ai/inference/v1",
            price_provider="fireworks",
            refused=MappingProxyType(
                {
                    "context_length_exceeded_behavior": _PROMPT,
                    "prompt_truncate_len": _PROMPT,
                    "raw_output": "its prompt is not shown.",
                }
            ),
        ),
    }
)
"""By name, as `vendor` and the catalogue's `provider` have it."""

NOT_OFFERED: Mapping[str, str] = MappingProxyType(
    {"openrouter": "it chooses the provider of each call by itself, which is policy's to decide"}
)
"""Names that somebody will look for, and why they are not there."""

"""Servers that speak OpenAI's format: vLLM, Ollama, TGI, Groq, DeepSeek, xAI and many more.

They differ from OpenAI in what they leave out. A field that only means something on OpenAI's
platform is dropped, because some of these servers refuse what they do not know; a vendor's own
field is passed on, unless it would choose what policy decides (`openai_refusals`). What is known of
a server by name stands in `servers`; a server without a name is taken for one like vLLM.

Answers are passed on but for two things, which are known by their looks:

- Usage becomes OpenAI's where it is counted otherwise: DeepSeek has cached tokens in
  `prompt_cache_hit_tokens`, and xAI leaves reasoning out of `completion_tokens`.
- What was thought stands in `reasoning_content`, wherever the server has it (`reasoning`). It goes
  back in the next turn, as DeepSeek demands, but for servers that refuse it; signatures of other
  providers' models do not.

Source:
    https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html
    https://github.com/ollama/ollama/blob/main/docs/api/openai-compatibility.mdx (read 2026-11-20)
    https://api-docs.deepseek.com/api/create-chat-completion
    https://docs.x.ai/docs/key-information/consumption-and-rate-limits, as quoted in
    https://github.com/vercel/ai/pull/12425
    Where nothing else is said the pages were seen in excerpts, 2026-11-20.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from llm_core.catalogue import Deployment
from llm_core.chat.carried import SIGNED, without_carried
from llm_core.chat.encoding import encode
from llm_core.chat.request import ChatRequest
from llm_core.chat.response import token_count, usage_from_openai, usage_to_openai
from llm_core.errors import UnsupportedParameter
from llm_core.providers.openai import OpenAITranslator, reported_by_openai
from llm_core.providers.openai_refusals import REFUSED, refuse
from llm_core.providers.openai_stream import OpenAIStream
from llm_core.providers.servers import SERVERS, Server
from llm_core.providers.translator import ProviderRequest, StreamTranslator, Translated
from llm_core.tokens.usage import TokenUsage

_Object = dict[str, Any]

PLATFORM_ONLY = (
    "store",
    "metadata",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "moderation",
)
"""What only means something on OpenAI's own platform."""

_UNNAMED = Server(label="The model server", page="")


class OpenAICompatibleTranslator(OpenAITranslator):
    """Speaks to a server that imitates OpenAI; `Deployment.vendor` tells which."""

    name = "The model server"

    def request(self, request: ChatRequest, deployment: Deployment) -> ProviderRequest:
        """Build the provider's request; see `Translator.request`."""
        server = SERVERS.get(deployment.vendor or "", _UNNAMED)
        self.refuse(request.fields)
        _refuse_what_it_lacks(request, server)
        dropped: list[str] = []
        body = _fields(dict(request.fields), server, dropped)
        body["model"] = deployment.model
        if request.is_streaming and server.takes_stream_options:
            body["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
        return ProviderRequest(
            url=self.url(deployment),
            headers={"content-type": "application/json"},
            body=encode(body),
            dropped_params=tuple(dropped),
        )

    def refuse(self, fields: Mapping[str, Any]) -> None:
        """Refuse what is not the caller's to choose.

        `store` and `service_tier` are not refused: they never reach the server.
        """
        refuse(fields, self.name, REFUSED)

    def response(self, body: bytes) -> Translated:
        """Read a whole answer; see `Translator.response`."""
        translated = super().response(body)
        answer = dict(translated.body)
        answer["choices"] = [_with_reasoning(one, "message") for one in answer["choices"]]
        usage = translated.usage
        given = answer.get("usage")
        if isinstance(given, dict):
            usage = usage_from_server(given)
            answer["usage"] = _usage_shown(given, usage)
        return Translated(body=answer, usage=usage, served_model=translated.served_model)

    def stream(self, request: ChatRequest) -> StreamTranslator:
        """Start reading a streamed answer; see `Translator.stream`."""
        return OpenAIStream(
            provider=self.name,
            choices=request.choices,
            reported_by=reported_by_openai,
            adapted=_adapted,
        )


def usage_from_server(usage: Mapping[str, Any]) -> TokenUsage:
    """Read usage as OpenAI's imitators have it; buckets inclusive.

    Reasoning is taken to be left out of `completion_tokens` where the total says so.
    """
    read = usage_from_openai(usage)
    if read.cached_input_tokens is None:
        hit = token_count(usage.get("prompt_cache_hit_tokens"))
        read = replace(read, cached_input_tokens=hit)
    reasoning = read.reasoning_tokens or 0
    total = token_count(usage.get("total_tokens"))
    if reasoning and read.is_reported and total == read.total_tokens + reasoning:
        read = replace(read, output_tokens=(read.output_tokens or 0) + reasoning)
    return read


def _usage_shown(given: Mapping[str, Any], read: TokenUsage) -> _Object:
    """The server's own object, told as OpenAI would where that differs."""
    if read == usage_from_openai(given):
        return dict(given)
    told = usage_to_openai(read)
    shown = {**given, **told}
    for name in ("prompt_tokens_details", "completion_tokens_details"):
        own = given.get(name)
        if name in told and isinstance(own, dict):
            shown[name] = {**own, **told[name]}
    return shown


def _adapted(chunk: _Object) -> _Object:
    choices = [_with_reasoning(one, "delta") for one in chunk.get("choices") or ()]
    adapted = {**chunk, "choices": choices} if "choices" in chunk else dict(chunk)
    usage = chunk.get("usage")
    if isinstance(usage, dict):
        adapted["usage"] = _usage_shown(usage, usage_from_server(usage))
    return adapted


def _with_reasoning(choice: Any, where: str) -> Any:  # noqa: ANN401 - whatever the server sent
    said = choice.get(where) if isinstance(choice, dict) else None
    if not isinstance(said, dict) or not isinstance(said.get("reasoning"), str):
        return choice
    renamed = {name: value for name, value in said.items() if name != "reasoning"}
    if not renamed.get("reasoning_content"):
        renamed["reasoning_content"] = said["reasoning"]
    return {**choice, where: renamed}


def _refuse_what_it_lacks(request: ChatRequest, server: Server) -> None:
    fields = request.fields
    for name, why in server.refused.items():
        if fields.get(name):
            raise _unsupported(server, name, why)
    if request.choices > 1 and not server.takes_several_answers:
        raise _unsupported(server, "n", "it gives one answer at a time.")
    if fields.get("tool_choice") not in (None, "auto") and not server.takes_forced_tools:
        raise _unsupported(server, "tool_choice", "it does not look at it.")
    format_ = request.response_format
    is_lacking = (format_ == "json_object" and not server.takes_json_objects) or (
        format_ == "json_schema" and not server.takes_json_schemas
    )
    if is_lacking:
        raise _unsupported(server, "response_format", f"it has no '{format_}'.")
    if not server.takes_image_addresses:
        _refuse_image_addresses(request, server)


def _refuse_image_addresses(request: ChatRequest, server: Server) -> None:
    for part in request.content_parts():
        if part["type"] == "image_url" and not part["image_url"]["url"].startswith("data:"):
            raise _unsupported(
                server, "messages.content.image_url", "send the image itself, as a data URI."
            )


def _unsupported(server: Server, param: str, why: str) -> UnsupportedParameter:
    return UnsupportedParameter(f"{server.label} does not support '{param}': {why}", param=param)


def _fields(fields: _Object, server: Server, dropped: list[str]) -> _Object:
    """Adapt a copy of the request's fields; what is left out is named in `dropped`.

    Where nothing is known of the server, the longest answer goes by its older name, which every
    server knows, and `developer` becomes `system`, because the models' chat templates do not know
    the newer role.
    """
    longest = [fields.pop(name, None) for name in ("max_completion_tokens", "max_tokens")]
    asked = next((tokens for tokens in longest if tokens is not None), None)
    if asked is not None:
        fields[server.longest_answer] = asked
    for name in (*PLATFORM_ONLY, *server.dropped):
        if fields.pop(name, None) is not None:
            dropped.append(name)
    # What is refused when it is asked for is not sent as "no" either: Groq refuses the name.
    unsaid = [] if server.takes_stream_options else ["stream_options"]
    for name in (*server.refused, *unsaid):
        fields.pop(name, None)
    _stop_thinking(fields, server, dropped)
    if server.wants_bare_schema:
        fields |= _bare_schema(fields.get("response_format"))
    fields["messages"] = _messages(fields["messages"], server, dropped)
    return fields


def _stop_thinking(fields: _Object, server: Server, dropped: list[str]) -> None:
    """Turn thinking off when the caller says so, or chose about tools where that needs it."""
    if server.chooses_tools_without_thinking and fields.get("tool_choice") == "auto":
        # What it does anyhow, and refuses to be told while it thinks.
        del fields["tool_choice"]
    is_chosen = server.chooses_tools_without_thinking and fields.get("tool_choice") is not None
    effort = fields.get("reasoning_effort")
    if not (server.without_thinking and (effort == "none" or is_chosen)):
        return
    if fields.pop("reasoning_effort", None) not in (None, "none"):
        dropped.append("reasoning_effort")
    for name, off in server.without_thinking.items():
        fields.setdefault(name, off)


def _bare_schema(format_: object) -> _Object:
    match format_:
        case {"type": "json_schema", "json_schema": {"schema": dict(schema)}}:
            return {"response_format": {"type": "json", "value": schema}}
        case _:
            return {}


def _messages(
    messages: Sequence[Mapping[str, Any]], server: Server, dropped: list[str]
) -> Sequence[Mapping[str, Any]]:
    """Adapt the messages: their roles, their names, and what an earlier answer left in them."""
    messages = without_carried(messages, SIGNED)
    if not server.takes_developer:
        messages = [
            {**message, "role": "system"} if message["role"] == "developer" else message
            for message in messages
        ]
    if not server.takes_names and any(message.get("name") for message in messages):
        dropped.append("messages.name")
        messages = [{k: v for k, v in message.items() if k != "name"} for message in messages]
    messages = _thoughts(messages, server)
    if server.message_members:
        messages = [_only(message, server.message_members) for message in messages]
    return messages


def _thoughts(messages: Sequence[Mapping[str, Any]], server: Server) -> Sequence[Mapping[str, Any]]:
    """What the assistant thought, under the server's own name for it."""
    have = [
        message["role"] == "assistant" and message.get("reasoning_content") is not None
        for message in messages
    ]
    if server.reasoning != "reasoning_content":
        return [
            _renamed(message, server.reasoning) if has else message
            for message, has in zip(messages, have, strict=True)
        ]
    is_wanted = any(have) or any(message.get("tool_calls") for message in messages)
    if not (server.wants_reasoning_back and is_wanted):
        return messages
    return [
        {**message, "reasoning_content": ""}
        if message["role"] == "assistant" and not has
        else message
        for message, has in zip(messages, have, strict=True)
    ]


def _renamed(message: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    rest = {key: value for key, value in message.items() if key != "reasoning_content"}
    return {name: message["reasoning_content"], **rest}


def _only(message: Mapping[str, Any], members: Sequence[str]) -> Mapping[str, Any]:
    kept = {name: value for name, value in message.items() if name in members}
    refusal = message.get("refusal")
    # A refusal is what the assistant said.
    return {**kept, "content": refusal} if refusal and not message.get("content") else kept

"""Golden cases: what each folder beside this file holds, and how it is run.

`<provider>/<case>/` holds what goes in:

- `openai_request.json`: what the client sends;
- `deployment.json` (optional): members of `Deployment` that differ from the provider's defaults;
- one of `provider_response.json`, `provider_response.sse`, `provider_response.eventstream.jsonl`
  (AWS's events as JSON, one a line, framed when they are read), `provider_error.json` (status,
  headers, body): what the provider answers;
- `source.md`: where that was taken from, and when;

and what comes out, written by `rewrite.py` and reviewed as a diff: `provider_request.json`,
`openai_response.json`, `usage.json`.

Which cases every provider has is in `test_golden.py`; `x_stream` is the answer of `x`, streamed.
The others beside them show what is peculiar to a provider.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from llm_core.catalogue import Deployment, ProviderKind
from llm_core.chat.request import ChatRequest
from llm_core.errors import ProviderError, error_body
from llm_core.providers.bedrock.event_stream import encode_message
from llm_core.providers.registry import translator_for
from llm_core.providers.translator import Translator
from llm_core.tokens.usage import TokenUsage

HERE = Path(__file__).parent
OUTPUTS = ("provider_request.json", "openai_response.json", "usage.json")

_DEFAULTS: dict[ProviderKind, dict[str, Any]] = {
    ProviderKind.OPENAI: {"model": "gpt-5.6-sol", "base_url": "https://api.openai.com/v1"},
    ProviderKind.AZURE_OPENAI: {
        "model": "chat-default",
        "base_url": "https://example.openai.azure.com",
    },
    ProviderKind.OPENAI_COMPATIBLE: {
        "model": "Qwen/Qwen3-8B",
        "base_url": "http://vllm.internal:8000/v1",
    },
    ProviderKind.ANTHROPIC: {
        "model": "claude-sonnet-4-5",
        "base_url": "https://api.anthropic.com",
    },
    ProviderKind.MISTRAL: {
        "model": "mistral-large-latest",
        "base_url": "https://api.mistral.ai/v1",
    },
    ProviderKind.COHERE: {
        "model": "command-a-03-2025",
        "base_url": "https://api.cohere.com",
    },
    ProviderKind.GEMINI: {
        "model": "gemini-3.5-flash",
        "base_url": "https://generativelanguage.googleapis.com/v1beta",
    },
    ProviderKind.VERTEX: {
        "model": "gemini-2.5-flash",
        "base_url": (
            "https://europe-west4-aiplatform.googleapis.com/v1/projects/example-project/"
            "locations/europe-west4/publishers/google"
        ),
    },
    ProviderKind.BEDROCK: {
        "model": "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "base_url": "https://bedrock-runtime.eu-central-1.amazonaws.com",
        "region": "eu-central-1",
    },
}


@dataclass(frozen=True, slots=True)
class Case:
    """One folder."""

    folder: Path

    @property
    def id(self) -> str:
        return f"{self.folder.parent.name}/{self.folder.name}"

    @property
    def provider(self) -> ProviderKind:
        return ProviderKind(self.folder.parent.name)

    @property
    def translator(self) -> Translator:
        return translator_for(self.provider)

    @property
    def request(self) -> ChatRequest:
        return ChatRequest.parse((self.folder / "openai_request.json").read_bytes())

    @property
    def deployment(self) -> Deployment:
        file = self.folder / "deployment.json"
        own = json.loads(file.read_text()) if file.exists() else {}
        facts = {"id": "golden", "provider": self.provider, **_DEFAULTS[self.provider], **own}
        return Deployment(**facts)

    @property
    def stream(self) -> bytes | None:
        file = self.folder / "provider_response.sse"
        if self.has_framed_stream:
            return b"".join(map(_framed, self._framed_file.read_text().splitlines()))
        return file.read_bytes() if file.exists() else None

    @property
    def has_framed_stream(self) -> bool:
        """Whether the stream is AWS's, which is no text of lines."""
        return self._framed_file.exists()

    @property
    def _framed_file(self) -> Path:
        return self.folder / "provider_response.eventstream.jsonl"

    @property
    def whole(self) -> bytes | None:
        file = self.folder / "provider_response.json"
        return file.read_bytes() if file.exists() else None

    def outputs(self) -> dict[str, Any]:
        """Run the case both ways; the content of each output file."""
        response, usage = self._response()
        return dict(zip(OUTPUTS, (self._provider_request(), response, asdict(usage)), strict=True))

    def _provider_request(self) -> dict[str, Any]:
        sent = self.translator.request(self.request, self.deployment)
        return {
            "url": sent.url,
            "headers": dict(sent.headers),
            "body": json.loads(sent.body),
            "dropped_params": list(sent.dropped_params),
        }

    def _response(self) -> tuple[Any, TokenUsage]:
        if self.whole is not None:
            translated = self.translator.response(self.whole)
            return translated.body, translated.usage
        if self.stream is not None:
            return self._streamed(self.stream)
        error = json.loads((self.folder / "provider_error.json").read_text())
        body = json.dumps(error["body"]).encode()
        failure = self.translator.failure(error["status"], error["headers"], body)
        return _shown(failure), TokenUsage()

    def _streamed(self, stream: bytes) -> tuple[Any, TokenUsage]:
        reader = self.translator.stream(self.request)
        result: dict[str, Any] = {"chunks": []}
        try:
            result["chunks"] += reader.feed(stream)
            result["chunks"] += reader.finish()
        except ProviderError as failure:
            result["error"] = _shown(failure)
        return {**result, "is_complete": reader.is_complete}, reader.usage


def _framed(line: str) -> bytes:
    ((kind, document),) = json.loads(line).items()
    sort = "exception" if kind.endswith("Exception") else "event"
    headers = {
        f":{sort}-type": kind,
        ":content-type": "application/json",
        ":message-type": sort,
    }
    return encode_message(headers, json.dumps(document).encode())


def _shown(failure: ProviderError) -> dict[str, Any]:
    return {
        "status": failure.http_status,
        "headers": failure.headers,
        "body": error_body(failure),
    }


def all_cases() -> list[Case]:
    """Every folder with a request in it."""
    return [Case(file.parent) for file in sorted(HERE.glob("*/*/openai_request.json"))]

"""A request to a server that speaks the Responses API itself.

It goes through as it came, but for the model, the longest answer, and `store`, whose default is to
keep the conversation. The answer comes back as it is.

Source:
    https://platform.openai.com/docs/api-reference/responses (checked 2026-11-20)
    https://learn.microsoft.com/azure/ai-foundry/openai/how-to/responses (checked 2026-11-20)
    https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle (checked 2026-11-20)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llm_core.apis.ask import Answer, ClientStream
from llm_core.apis.dialect import DROP_PARAMS
from llm_core.apis.responses.native_stream import NativeResponseStream, reported_in
from llm_core.apis.responses.output import texts_of_response, usage_from_response
from llm_core.apis.responses.thoughts import is_ours
from llm_core.catalogue import Deployment, ProviderKind
from llm_core.chat.encoding import decode_object, encode
from llm_core.errors import ProviderError, ProviderUnavailable
from llm_core.operation import Operation
from llm_core.policy.allowance import max_output_tokens
from llm_core.policy.decision import Obligations
from llm_core.providers.failures import provider_failure
from llm_core.providers.openai_refusals import REFUSED_BY_OPENAI, refuse
from llm_core.providers.registry import translator_for
from llm_core.providers.translator import ProviderRequest, Translator

_Object = dict[str, Any]
_NATIVE = (ProviderKind.OPENAI, ProviderKind.AZURE_OPENAI)
_AZURE_VERSIONS = ("v1", "preview")


def is_native(deployment: Deployment) -> bool:
    """Whether the deployment's server speaks the Responses API itself."""
    return deployment.provider in _NATIVE or Operation.RESPONSES in deployment.native_operations


def native_exchange(
    fields: Mapping[str, Any], deployment: Deployment, obligations: Obligations
) -> "NativeExchange":
    """Put a request, already checked, to such a server.

    Raises:
        UnsupportedParameter: It asks for what is not the caller's to choose.
        MalformedRequest: It is nested too deeply.
    """
    refuse(fields, deployment.provider_name, REFUSED_BY_OPENAI)
    body = {name: value for name, value in fields.items() if name != DROP_PARAMS}
    body["model"] = deployment.model
    asked: int | None = fields.get("max_output_tokens")
    body["max_output_tokens"] = max_output_tokens(asked, deployment, obligations)
    body["store"] = False
    if isinstance(fields["input"], list):
        body["input"] = [_readable(item) for item in fields["input"] if _is_readable(item)]
    request = ProviderRequest(_url(deployment), {"content-type": "application/json"}, encode(body))
    return NativeExchange(request, deployment, translator_for(deployment.provider))


@dataclass(frozen=True, slots=True)
class NativeExchange:
    """One request to such a server; implements `Exchange`."""

    request: ProviderRequest
    deployment: Deployment
    translator: Translator

    def credential_headers(self, secret: str) -> dict[str, str]:
        """The header that proves who pays; lower-case name."""
        return self.translator.credential_headers(secret)

    def answer(self, raw: bytes) -> Answer:
        """Read a whole answer; see `Exchange.answer`.

        Raises:
            ProviderError: It says that it has failed.
        """
        body = decode_object(raw)
        name = self.deployment.provider_name
        if body is None or not isinstance(body.get("output"), list):
            raise ProviderUnavailable(f"{name} answered with something that is no response.")
        if body.get("status") == "failed":
            reported, status = reported_in(body)
            raise provider_failure(name, status, {}, reported)
        model = body.get("model")
        return Answer(
            body=body,
            usage=usage_from_response(body.get("usage")),
            served_model=model if isinstance(model, str) and model else None,
            texts=texts_of_response(body),
        )

    def failure(self, status: int, headers: Mapping[str, str], raw: bytes) -> ProviderError:
        """Read an error answer; see `Exchange.failure`."""
        return self.translator.failure(status, headers, raw)

    def stream(self, *, is_kept: bool = False) -> ClientStream:
        """Start reading a streamed answer; what it adds up to is in its last event."""
        return NativeResponseStream(self.deployment.provider_name)


def _url(deployment: Deployment) -> str:
    if deployment.provider is not ProviderKind.AZURE_OPENAI:
        return f"{deployment.base_url}/responses"
    # The versions with a date, which chat completions are called with, do not exist here.
    version = deployment.api_version
    query = f"?api-version={version}" if version in _AZURE_VERSIONS else ""
    return f"{deployment.base_url}/openai/v1/responses{query}"


def _is_readable(item: Any) -> bool:  # noqa: ANN401 - checked by `Conversation`
    """Whether the server can read an item: thoughts it can only read in its own encryption.

    It looks any others up among what it has kept, and finds nothing.
    """
    if item.get("type") != "reasoning":
        return True
    content = item.get("encrypted_content")
    return content is not None and not is_ours(content)


def _readable(item: _Object) -> _Object:
    """An item without what another provider has put there for itself."""
    return {name: value for name, value in item.items() if name != "extra_content"}

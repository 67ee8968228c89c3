"""Which deployments stand behind a model name."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from llm_core.errors import UnknownModel
from llm_core.operation import Operation


class ProviderKind(StrEnum):
    """Whose wire format a deployment speaks."""

    OPENAI = "openai"
    AZURE_OPENAI = "azure_openai"
    OPENAI_COMPATIBLE = "openai_compatible"
    ANTHROPIC = "anthropic"
    GEMINI = "gemini"
    VERTEX = "vertex"
    BEDROCK = "bedrock"
    MISTRAL = "mistral"
    COHERE = "cohere"


class Auth(StrEnum):
    """How a deployment's credential is proved to its provider.

    A static credential is a header's value, so that Kong can send it. The others are made anew for
    each call, which only the relay can do.
    """

    STATIC = "static"
    AWS_SIGV4 = "aws_sigv4"
    GOOGLE_SERVICE_ACCOUNT = "google_service_account"


class Strategy(StrEnum):
    """In which order a model's permitted deployments are tried."""

    PRIORITY = "priority"
    CHEAPEST = "cheapest"
    FASTEST = "fastest"
    WEIGHTED = "weighted"


@dataclass(frozen=True, slots=True)
class Agreement:
    """A contract with a provider, such as a data-processing agreement.

    Args:
        since: From when on it holds.
        until: The first moment in which it no longer does; `None` when no end is agreed.
        reference: Where it is kept, for whoever has to show it.
    """

    since: datetime
    until: datetime | None = None
    reference: str = ""


@dataclass(frozen=True, slots=True)
class DataProcessing:
    """What a provider does with the data that it is sent; `None` where nobody said.

    Args:
        retention_days: For how long it keeps anything; 0 for not at all.
        trains_on_data: Whether it trains models on it.
        sub_processors: To whom it hands the data.
    """

    retention_days: int | None = None
    trains_on_data: bool | None = None
    sub_processors: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Deployment:
    """One place where one model can be called.

    Args:
        id: Unique in the catalogue, for example `openai-gpt-4o-mini-eu`.
        provider: The wire format.
        model: The name the provider knows it by: the routed model (Azure: the deployment's name).
        base_url: Without a trailing slash, up to and including the API's version path where the
            vendor's SDK has it there (`https://api.openai.com/v1`, `https://api.anthropic.com`).
        region: Where data is processed, for example `eu-west-1`.
        credential: Names the secret in the plugin's or the relay's configuration; `None` for a
            server that asks for none.
        api_version: Azure's `api-version`, Anthropic's `anthropic-version`.
        price_model: What the model is called in the price list; the routed model by default.
        price_provider: Who it is listed under; the wire format's name by default.
        max_output_tokens: The model's own maximum; reserved when a call names none.
        context_tokens: Longest input and output together.
        timeout_s: Longest wait for the first byte of an answer.
        attributes: Further facts for policy.
        agreements: With the provider, by kind: `dpa`, `baa` and what else policy asks for.
        data_processing: What the provider does with the data.
        vendor: Who runs a server that speaks another's format, for example `groq`; the wire
            format's name by default. Policy, headers and the ledger know the deployment by it.
        auth: How `credential` is proved.
        signing_region: AWS's region to sign for, where the host's name does not tell it.
        operations: What it serves; `None` for all that its provider's format has, for a chat model.
            A model for embeddings names them.
        native_operations: Served by this server in OpenAI's own format, beside those of its wire
            format, so that nothing need be translated: `completions`, `responses`.
        weight: Its share under the strategy `weighted`.
        can_use_tools: Whether the model takes tools.
        can_see_images: Whether the model takes images.
        can_follow_schema: Whether the model can be held to a JSON schema.
        is_probed: Whether the service asks for its health now and then, without a caller's call.
    """

    id: str
    provider: ProviderKind
    model: str
    base_url: str
    region: str = "unknown"
    credential: str | None = None
    api_version: str | None = None
    price_model: str | None = None
    price_provider: str | None = None
    max_output_tokens: int = 4096
    context_tokens: int | None = None
    timeout_s: float = 120.0
    attributes: Mapping[str, str | int | bool] = field(default_factory=dict)
    agreements: Mapping[str, Agreement] = field(default_factory=dict)
    data_processing: DataProcessing = DataProcessing()
    vendor: str | None = None
    auth: Auth = Auth.STATIC
    signing_region: str | None = None
    operations: tuple[Operation, ...] | None = None
    native_operations: tuple[Operation, ...] = ()
    weight: int = 1
    can_use_tools: bool = True
    can_see_images: bool = True
    can_follow_schema: bool = True
    is_probed: bool = False

    @property
    def provider_name(self) -> str:
        """Who serves it, as policy, headers and the ledger know it."""
        return self.vendor or self.provider.value


@dataclass(frozen=True, slots=True)
class Model:
    """A name that callers ask for, and the deployments behind it in order of preference.

    Args:
        strategy: Chooses among those that policy permits and that are healthy.
        is_sticky: Calls with the same prompt-cache key go to the same deployment while they can.
    """

    alias: str
    deployments: tuple[Deployment, ...]
    strategy: Strategy = Strategy.PRIORITY
    is_sticky: bool = False


class Catalogue:
    """All models by alias."""

    def __init__(self, models: Iterable[Model]) -> None:
        """Take the models in the order in which they are listed to callers."""
        self._models: dict[str, Model] = {}
        for model in models:
            if model.alias in self._models:
                raise ValueError(f"the model {model.alias!r} stands in the catalogue twice")
            if not model.deployments:
                raise ValueError(f"the model {model.alias!r} has no deployment")
            self._models[model.alias] = model
        self._deployments = {d.id: d for m in self._models.values() for d in m.deployments}

    def model(self, alias: str) -> Model:
        """Find a model.

        Raises:
            UnknownModel: Nothing stands behind the name.
        """
        try:
            return self._models[alias]
        except KeyError:
            raise UnknownModel(
                f"The model {alias[:200]!r} does not exist here. "
                "List the models you may use with GET /v1/models.",
                param="model",
            ) from None

    def deployment(self, deployment_id: str) -> Deployment | None:
        """Find a deployment by id."""
        return self._deployments.get(deployment_id)

    @property
    def models(self) -> tuple[Model, ...]:
        """Every model."""
        return tuple(self._models.values())

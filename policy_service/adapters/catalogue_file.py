"""Reads the model catalogue: which deployments stand behind which model name.

```yaml
models:
  - alias: gpt-4o-mini          # what callers ask for
    strategy: priority          # or cheapest, fastest, weighted
    sticky: false               # calls with the same prompt-cache key stay together
    deployments:                # in order of preference; fields as in llm_core.catalogue.Deployment
      - id: openai-gpt-4o-mini
        provider: openai
        model: gpt-4o-mini-2024-07-18
        base_url: https://api.openai.com/v1
        region: us
        credential: openai
      - id: groq-gpt-oss
        provider: groq          # a server of llm_core.providers.servers: its address is known
        model: openai/gpt-oss-20b
        credential: groq
        terms: groq-standard    # of the register below
providers:                      # what was agreed with providers, by a name for it
  groq-standard:
    agreements:
      dpa: {since: 2026-01-01, until: 2027-01-01, reference: CT-1042}   # days in UTC
    data_processing: {retention_days: 30, trains_on_data: false, sub_processors: [gcp]}
```
"""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    field_validator,
    model_validator,
)

from llm_core.catalogue import (
    Auth,
    Catalogue,
    Deployment,
    Model,
    ProviderKind,
    Strategy,
)
from llm_core.operation import OWN_OPERATIONS, Operation
from llm_core.providers.servers import NOT_OFFERED, SERVERS
from policy_service.adapters.provider_terms import (
    AgreementEntry,
    ProcessingEntry,
    TermsEntry,
    terms_of,
)
from policy_service.adapters.yaml_file import InvalidFile, read_yaml

_Text = Annotated[str, Field(min_length=1, max_length=300)]
# It goes into headers and addresses, where a line break would begin another header.
_Token = Annotated[str, Field(min_length=1, max_length=300, pattern=r"^[ -~]+$")]
_Tokens = Annotated[int, Field(gt=0, strict=True)]


def read_catalogue(path: Path) -> Catalogue:
    """Read a catalogue.

    Raises:
        InvalidFile: With every fault, each as `file:line: field: what is wrong`.
    """
    content = read_yaml(path, _CatalogueFile)
    try:
        models = [entry.model(content.providers) for entry in content.models]
    except ValueError as error:
        raise InvalidFile(f"{path}: {error}") from error
    _refuse_one_id_for_two(path, models)
    try:
        return Catalogue(models)
    except ValueError as error:
        raise InvalidFile(f"{path}: {error}") from error


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DeploymentEntry(_Entry):
    """One deployment as the file writes it; the fields and defaults of `Deployment`.

    `terms` names an entry of the file's `providers`, so that what was agreed with a provider stands
    in one place.

    `provider` may name a server instead of a wire format, for example `groq`: then it is
    `openai_compatible` with that `vendor`. `base_url` may be left out where the vendor has one
    address, `price_provider` where the public price list knows the server.
    """

    id: _Token
    provider: ProviderKind
    model: _Token
    base_url: _Token
    region: _Token = "unknown"
    credential: _Token | None = None
    api_version: _Token | None = None
    price_model: _Text | None = None
    price_provider: _Text | None = None
    max_output_tokens: _Tokens = 4096
    context_tokens: _Tokens | None = None
    timeout_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 120.0
    attributes: dict[str, StrictBool | StrictInt | StrictStr] = Field(default_factory=dict)
    terms: _Text | None = None
    agreements: dict[_Text, AgreementEntry] = Field(default_factory=dict)
    data_processing: ProcessingEntry = ProcessingEntry()
    vendor: _Token | None = None
    auth: Auth = Auth.STATIC
    signing_region: _Token | None = None
    operations: Annotated[tuple[Operation, ...], Field(min_length=1)] | None = None
    native_operations: tuple[Operation, ...] = ()
    weight: Annotated[int, Field(ge=1, strict=True)] = 1
    can_use_tools: StrictBool = True
    can_see_images: StrictBool = True
    can_follow_schema: StrictBool = True
    is_probed: StrictBool = False

    @model_validator(mode="before")
    @classmethod
    def _with_defaults_of_the_vendor(cls, entry: object) -> object:
        return _filled_in(entry) if isinstance(entry, dict) else entry

    @field_validator("provider", mode="before")
    @classmethod
    def _is_a_provider(cls, value: object) -> object:
        if isinstance(value, str) and value in NOT_OFFERED:
            raise ValueError(f"{value} is not offered: {NOT_OFFERED[value]}")
        known = [*ProviderKind, *SERVERS]
        if value not in known:
            raise ValueError(f"must be one of {', '.join(known)}")
        return value

    @field_validator("base_url")
    @classmethod
    def _is_a_base_url(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        if "?" in value or "#" in value or "@" in value:
            raise ValueError("must be without query, fragment and credentials")
        if not _has_host(value):
            raise ValueError("must name a host, as https://api.example.com/v1 does")
        return value.rstrip("/")

    @field_validator("api_version", mode="before")
    @classmethod
    def _as_written(cls, value: object) -> object:
        # YAML reads 2024-10-21 as a date; vendors mean the text.
        return value.isoformat() if isinstance(value, date) else value

    @field_validator("operations", "native_operations")
    @classmethod
    def _is_something_called(
        cls, value: tuple[Operation, ...] | None
    ) -> tuple[Operation, ...] | None:
        if own := sorted(OWN_OPERATIONS & set(value or ())):
            raise ValueError(f"the gateway answers it by itself; leave '{own[0]}' out")
        return value

    @field_validator("native_operations")
    @classmethod
    def _are_of_openais_format(cls, value: tuple[Operation, ...]) -> tuple[Operation, ...]:
        if not set(value) <= _NATIVE:
            raise ValueError(f"may hold {', '.join(sorted(_NATIVE))}; the others are translated")
        return value

    @model_validator(mode="after")
    def _can_be_proved(self) -> Self:
        provers = _PROVED_BY.get(self.auth)
        if provers is not None and self.provider not in provers:
            raise ValueError(f"auth: {self.auth} is for {' and '.join(sorted(provers))} only")
        if self.signing_region is not None and self.auth is not Auth.AWS_SIGV4:
            raise ValueError(f"signing_region: only with auth: {Auth.AWS_SIGV4}")
        return self

    def deployment(self, providers: Mapping[str, TermsEntry]) -> Deployment:
        """The deployment that this entry describes; its own terms stand above the register's.

        Raises:
            ValueError: The register has no such terms.
        """
        if self.terms is not None and self.terms not in providers:
            raise ValueError(f"{self.id}: terms: there is no {self.terms!r} under providers")
        agreements, processing = terms_of(
            TermsEntry() if self.terms is None else providers[self.terms],
            TermsEntry(agreements=self.agreements, data_processing=self.data_processing),
        )
        plain = self.model_dump(exclude={"terms", "agreements", "data_processing"})
        return Deployment(**plain, agreements=agreements, data_processing=processing)


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        # Asking for the port is what refuses one that is none.
        return bool(parts.hostname) and parts.port != 0 and " " not in url and "\\" not in url
    except ValueError:
        return False


_NATIVE = frozenset({Operation.COMPLETIONS, Operation.RESPONSES})
_PROVED_BY = {
    Auth.AWS_SIGV4: frozenset({ProviderKind.BEDROCK}),
    Auth.GOOGLE_SERVICE_ACCOUNT: frozenset({ProviderKind.GEMINI, ProviderKind.VERTEX}),
}
# Where the vendors' own SDKs call; Azure, Vertex and Bedrock have an address for each customer.
_BASE_URLS: dict[str, str] = {
    ProviderKind.OPENAI: "https://api.openai.com/v1",
    ProviderKind.ANTHROPIC: "https://api.anthropic.com",
    ProviderKind.GEMINI: "https://generativelanguage.googleapis.com/v1beta",
    ProviderKind.MISTRAL: "https://api.mistral.ai/v1",
    ProviderKind.COHERE: "https://api.cohere.com",
}


def _filled_in(entry: dict[str, Any]) -> dict[str, Any]:
    """The entry with what its provider, or the server it names, makes plain."""
    provider = entry.get("provider")
    if not isinstance(provider, str):
        return entry
    if provider in SERVERS:
        if "vendor" in entry:
            raise ValueError(f"vendor: is {provider!r} already, by 'provider'; leave one of them")
        entry = {**entry, "provider": ProviderKind.OPENAI_COMPATIBLE.value, "vendor": provider}
    vendor = entry.get("vendor")
    defaults: dict[str, str | None] = {"base_url": _BASE_URLS.get(provider)}
    if entry["provider"] == ProviderKind.OPENAI_COMPATIBLE and isinstance(vendor, str):
        if vendor in NOT_OFFERED:
            raise ValueError(f"vendor: {vendor} is not offered: {NOT_OFFERED[vendor]}")
        server = SERVERS.get(vendor)
        if server is not None:
            defaults = {"base_url": server.base_url, "price_provider": server.price_provider}
    missing = {name: value for name, value in defaults.items() if value and name not in entry}
    return {**entry, **missing}


class _ModelEntry(_Entry):
    alias: _Text
    deployments: Annotated[tuple[DeploymentEntry, ...], Field(min_length=1)]
    strategy: Strategy = Strategy.PRIORITY
    sticky: StrictBool = False

    def model(self, providers: Mapping[str, TermsEntry]) -> Model:
        return Model(
            self.alias,
            tuple(entry.deployment(providers) for entry in self.deployments),
            strategy=self.strategy,
            is_sticky=self.sticky,
        )


class _CatalogueFile(_Entry):
    models: Annotated[tuple[_ModelEntry, ...], Field(min_length=1)]
    providers: dict[_Text, TermsEntry] = Field(default_factory=dict)


def _refuse_one_id_for_two(path: Path, models: list[Model]) -> None:
    """The same deployment may stand behind two names; two deployments may not share an id."""
    known: dict[str, Deployment] = {}
    for model in models:
        for deployment in model.deployments:
            if known.setdefault(deployment.id, deployment) != deployment:
                raise InvalidFile(f"{path}: two deployments have the id {deployment.id!r}")

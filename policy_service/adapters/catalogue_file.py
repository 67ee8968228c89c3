"""Reads the model catalogue: which deployments stand behind which model name.

```yaml
models:
  - alias: gpt-4o-mini          # what callers ask for
    deployments:                # in order of preference; fields as in llm_core.catalogue.Deployment
      - id: openai-gpt-4o-mini
        provider: openai
        model: gpt-4o-mini-2024-07-18
        base_url: https://api.openai.com/v1
        region: us
        credential: openai
```
"""

from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    field_validator,
)

from llm_core.catalogue import Catalogue, Deployment, Model, ProviderKind
from policy_service.adapters.yaml_file import InvalidFile, read_yaml

_Text = Annotated[str, Field(min_length=1, max_length=300)]
_Tokens = Annotated[int, Field(gt=0, strict=True)]


def read_catalogue(path: Path) -> Catalogue:
    """Read a catalogue.

    Raises:
        InvalidFile: With every fault, each as `file:line: field: what is wrong`.
    """
    content = read_yaml(path, _CatalogueFile)
    models = [entry.model() for entry in content.models]
    _refuse_one_id_for_two(path, models)
    try:
        return Catalogue(models)
    except ValueError as error:
        raise InvalidFile(f"{path}: {error}") from error


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DeploymentEntry(_Entry):
    """One deployment as the file writes it; the fields and defaults of `Deployment`."""

    id: _Text
    provider: ProviderKind
    model: _Text
    base_url: _Text
    region: _Text = "unknown"
    credential: _Text | None = None
    api_version: _Text | None = None
    price_model: _Text | None = None
    price_provider: _Text | None = None
    max_output_tokens: _Tokens = 4096
    context_tokens: _Tokens | None = None
    timeout_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 120.0
    attributes: dict[str, StrictBool | StrictInt | StrictStr] = Field(default_factory=dict)

    @field_validator("base_url")
    @classmethod
    def _is_a_base_url(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        if "?" in value or "#" in value or "@" in value:
            raise ValueError("must be without query, fragment and credentials")
        return value.rstrip("/")

    @field_validator("api_version", mode="before")
    @classmethod
    def _as_written(cls, value: object) -> object:
        # YAML reads 2024-10-21 as a date; vendors mean the text.
        return value.isoformat() if isinstance(value, date) else value

    def deployment(self) -> Deployment:
        """The deployment that this entry describes."""
        return Deployment(**self.model_dump())


class _ModelEntry(_Entry):
    alias: _Text
    deployments: Annotated[tuple[DeploymentEntry, ...], Field(min_length=1)]

    def model(self) -> Model:
        return Model(self.alias, tuple(entry.deployment() for entry in self.deployments))


class _CatalogueFile(_Entry):
    models: Annotated[tuple[_ModelEntry, ...], Field(min_length=1)]


def _refuse_one_id_for_two(path: Path, models: list[Model]) -> None:
    """The same deployment may stand behind two names; two deployments may not share an id."""
    known: dict[str, Deployment] = {}
    for model in models:
        for deployment in model.deployments:
            if known.setdefault(deployment.id, deployment) != deployment:
                raise InvalidFile(f"{path}: two deployments have the id {deployment.id!r}")

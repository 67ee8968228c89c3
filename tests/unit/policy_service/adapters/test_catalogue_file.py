from dataclasses import MISSING, fields
from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined

from llm_core.catalogue import Deployment, ProviderKind
from policy_service.adapters.catalogue_file import DeploymentEntry, read_catalogue
from policy_service.adapters.yaml_file import InvalidFile

FULL = """\
models:
  - alias: small
    deployments:
      - &first
        id: azure-small
        provider: azure_openai
        model: small-eu
        base_url: https://acme.openai.azure.com/
        region: westeurope
        credential: azure
        api_version: 2024-10-21
        price_model: gpt-4o-mini
        price_provider: azure
        max_output_tokens: 16384
        context_tokens: 128000
        timeout_s: 2.5
        attributes: {dpa: true, retention_days: 30, owner: platform}
      - id: openai-small
        provider: openai
        model: gpt-4o-mini
        base_url: https://api.openai.com/v1
  - alias: also-small
    deployments: [*first]
"""


def read(folder: Path, text: str) -> None:
    path = folder / "models.yaml"
    path.write_text(text, encoding="utf-8")
    read_catalogue(path)


def test_a_file_becomes_the_catalogue_it_describes(tmp_path: Path):
    path = tmp_path / "models.yaml"
    path.write_text(FULL)
    catalogue = read_catalogue(path)
    first = Deployment(
        id="azure-small",
        provider=ProviderKind.AZURE_OPENAI,
        model="small-eu",
        base_url="https://acme.openai.azure.com",
        region="westeurope",
        credential="azure",
        api_version="2024-10-21",
        price_model="gpt-4o-mini",
        price_provider="azure",
        max_output_tokens=16384,
        context_tokens=128_000,
        timeout_s=2.5,
        attributes={"dpa": True, "retention_days": 30, "owner": "platform"},
    )
    second = Deployment(
        "openai-small", ProviderKind.OPENAI, "gpt-4o-mini", "https://api.openai.com/v1"
    )
    assert [model.alias for model in catalogue.models] == ["small", "also-small"]
    assert catalogue.model("small").deployments == (first, second)
    assert catalogue.model("also-small").deployments == (first,)
    attributes = catalogue.model("small").deployments[0].attributes
    assert [type(value) for value in attributes.values()] == [bool, int, str]


def test_the_file_has_the_fields_and_defaults_of_a_deployment():
    """A field added to `Deployment` alone could never be set."""
    entry = {
        name: field.get_default(call_default_factory=True)
        for name, field in DeploymentEntry.model_fields.items()
    }
    assert entry == {
        field.name: field.default
        if field.default is not MISSING
        else (PydanticUndefined if field.default_factory is MISSING else field.default_factory())
        for field in fields(Deployment)
    }


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("region: westeurope", "reggion: westeurope", 9, "models[0].deployments[0].reggion"),
        ("provider: openai\n", "provider: opnai\n", 19, "models[0].deployments[1].provider"),
        ("id: openai-small\n", "ident: x\n", 18, "models[0].deployments[1].id: Field required"),
        ("https://api.openai.com/v1", "api.openai.com", 21, "deployments[1].base_url"),
        ("https://api.openai.com/v1", "https://u:p@x", 21, "deployments[1].base_url"),
        ("16384", "0", 14, "deployments[0].max_output_tokens"),
        ("16384", "many", 14, "deployments[0].max_output_tokens"),
        ("timeout_s: 2.5", "timeout_s: -1", 16, "deployments[0].timeout_s"),
        ("retention_days: 30", "retention_days: 1.5", 17, "deployments[0].attributes"),
        ("[*first]", "[]", 23, "models[1].deployments"),
        ("models:\n", "model:\n", 1, "models: Field required"),
    ],
)
def test_a_mistake_names_file_line_and_field(
    tmp_path: Path, old: str, new: str, line: int, says: str
):
    assert old in FULL
    with pytest.raises(InvalidFile) as caught:
        read(tmp_path, FULL.replace(old, new))
    faults = str(caught.value).splitlines()
    assert any(
        fault.startswith(f"{tmp_path / 'models.yaml'}:{line}: ") and says in fault
        for fault in faults
    ), faults


def test_a_wrong_value_is_not_repeated_in_the_error(tmp_path: Path):
    """Somebody will put a secret where its name belongs."""
    with pytest.raises(InvalidFile) as caught:
        read(tmp_path, FULL.replace("credential: azure", "credential: [sk-very-secret]"))
    assert "sk-very-secret" not in str(caught.value)


def test_two_deployments_cannot_share_an_id_nor_two_models_an_alias(tmp_path: Path):
    with pytest.raises(InvalidFile, match="two deployments have the id 'azure-small'"):
        read(tmp_path, FULL.replace("id: openai-small", "id: azure-small"))
    with pytest.raises(InvalidFile, match="'small' stands in the catalogue twice"):
        read(tmp_path, FULL.replace("alias: also-small", "alias: small"))

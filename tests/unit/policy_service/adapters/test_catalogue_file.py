from dataclasses import MISSING, asdict, fields
from datetime import UTC, datetime
from pathlib import Path

import pytest
from genai_prices.data_snapshot import get_snapshot
from pydantic_core import PydanticUndefined

from llm_core.catalogue import (
    Agreement,
    Auth,
    Catalogue,
    DataProcessing,
    Deployment,
    ProviderKind,
    Strategy,
)
from llm_core.operation import Operation
from llm_core.providers.servers import SERVERS
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


def read(folder: Path, text: str) -> Catalogue:
    path = folder / "models.yaml"
    path.write_text(text, encoding="utf-8")
    return read_catalogue(path)


def read_one(folder: Path, entry: str, model: str = "") -> Deployment:
    """Read a file with one deployment, written as a YAML flow mapping without its braces."""
    text = f"models: [{{alias: a, {model} deployments: [{{id: d, model: m, {entry}}}]}}]"
    return read(folder, text).model("a").deployments[0]


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
    assert entry.pop("terms") is None
    assert entry.pop("data_processing").model_dump() == asdict(DataProcessing())
    assert entry == {
        field.name: field.default
        if field.default is not MISSING
        else (PydanticUndefined if field.default_factory is MISSING else field.default_factory())
        for field in fields(Deployment)
        if field.name != "data_processing"
    }


TERMS = """\
providers:
  acme-terms:
    agreements:
      dpa: {since: 2026-01-01, until: 2027-01-01, reference: CT-1}
      baa: {since: 2026-02-01}
    data_processing: {retention_days: 30, trains_on_data: false, sub_processors: [aws]}
models:
  - alias: a
    deployments:
      - {id: plain, provider: openai, model: m, terms: acme-terms}
      - id: own
        provider: openai
        model: m
        terms: acme-terms
        agreements: {dpa: {since: 2026-03-01}}
        data_processing: {retention_days: 0}
      - {id: bare, provider: openai, model: m}
"""


def test_what_was_agreed_with_a_provider_stands_in_one_place(tmp_path: Path):
    plain, own, bare = read(tmp_path, TERMS).model("a").deployments
    january, march = (datetime(2026, month, 1, tzinfo=UTC) for month in (1, 3))
    assert plain.agreements["dpa"] == Agreement(january, datetime(2027, 1, 1, tzinfo=UTC), "CT-1")
    assert plain.agreements["baa"].until is None
    assert plain.data_processing == DataProcessing(
        30, trains_on_data=False, sub_processors=("aws",)
    )
    assert own.agreements["dpa"] == Agreement(march)
    assert own.agreements["baa"] == plain.agreements["baa"]
    assert own.data_processing == DataProcessing(0, trains_on_data=False, sub_processors=("aws",))
    assert (bare.agreements, bare.data_processing) == ({}, DataProcessing())


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "terms: acme-terms}",
            "terms: other}",
            "plain: terms: there is no 'other' under providers",
        ),
        ("until: 2027-01-01", "until: 2026-01-01", "until: must be after since"),
        ("since: 2026-02-01", "since: soon", "providers.acme-terms.agreements.baa.since"),
        ("retention_days: 30", "retention_days: -1", "data_processing.retention_days"),
        ("trains_on_data: false", "trains_on_data: maybe", "data_processing.trains_on_data"),
        ("sub_processors: [aws]", "processors: [aws]", "data_processing.processors"),
    ],
)
def test_terms_that_cannot_be_are_refused(tmp_path: Path, old: str, new: str, says: str):
    with pytest.raises(InvalidFile) as caught:
        read(tmp_path, TERMS.replace(old, new))
    assert says in str(caught.value)


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


def test_every_fact_of_a_deployment_can_be_written(tmp_path: Path):
    deployment = read_one(
        tmp_path,
        "provider: bedrock, base_url: 'https://bedrock.test', auth: aws_sigv4, "
        "signing_region: eu-west-1, operations: [chat.completions, embeddings], "
        "native_operations: [responses], weight: 3, can_use_tools: false, can_see_images: false, "
        "can_follow_schema: false, is_probed: true, vendor: our-cloud",
    )
    assert deployment == Deployment(
        id="d",
        provider=ProviderKind.BEDROCK,
        model="m",
        base_url="https://bedrock.test",
        vendor="our-cloud",
        auth=Auth.AWS_SIGV4,
        signing_region="eu-west-1",
        operations=(Operation.CHAT_COMPLETIONS, Operation.EMBEDDINGS),
        native_operations=(Operation.RESPONSES,),
        weight=3,
        can_use_tools=False,
        can_see_images=False,
        can_follow_schema=False,
        is_probed=True,
    )


def test_a_model_says_how_its_deployments_are_chosen(tmp_path: Path):
    text = "models: [{{alias: a, {} deployments: [{{id: d, provider: openai, model: m}}]}}]"
    plain = read(tmp_path, text.format("")).model("a")
    assert (plain.strategy, plain.is_sticky) == (Strategy.PRIORITY, False)
    chosen = read(tmp_path, text.format("strategy: fastest, sticky: true,")).model("a")
    assert (chosen.strategy, chosen.is_sticky) == (Strategy.FASTEST, True)


def test_a_named_server_is_openai_compatible_with_its_address_and_prices(tmp_path: Path):
    deployment = read_one(tmp_path, "provider: groq")
    assert deployment.provider is ProviderKind.OPENAI_COMPATIBLE
    assert deployment.provider_name == "groq"
    assert deployment.base_url == "https://api.groq.com/openai/v1"
    assert deployment.price_provider == "groq"
    assert deployment == read_one(tmp_path, "provider: openai_compatible, vendor: groq")


@pytest.mark.parametrize("name", [name for name, server in SERVERS.items() if server.base_url])
def test_every_service_is_priced_under_a_name_of_the_public_list(tmp_path: Path, name: str):
    deployment = read_one(tmp_path, f"provider: {name}")
    known = {provider.id for provider in get_snapshot().providers}
    assert deployment.price_provider in known


def test_what_is_written_wins_over_what_is_known(tmp_path: Path):
    entry = "provider: xai, base_url: 'https://eu-west-1.api.x.ai/v1/', price_provider: acme"
    deployment = read_one(tmp_path, entry)
    assert deployment.base_url == "https://eu-west-1.api.x.ai/v1"
    assert deployment.price_provider == "acme"


@pytest.mark.parametrize("provider", ["openai", "anthropic", "gemini", "mistral", "cohere"])
def test_a_vendor_with_one_address_needs_none_written(tmp_path: Path, provider: str):
    deployment = read_one(tmp_path, f"provider: {provider}")
    assert deployment.base_url.startswith("https://")
    assert deployment.price_provider is None
    assert deployment.vendor is None


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("provider: vllm", "base_url: Field required"),
        ("provider: azure_openai", "base_url: Field required"),
        ("provider: openrouter", "provider: openrouter is not offered"),
        ("provider: openai_compatible, vendor: openrouter", "openrouter is not offered"),
        ("provider: grok", "must be one of openai, azure_openai"),
        ("provider: [groq]", "must be one of"),
        ("provider: groq, vendor: acme", "leave one of them"),
        ("provider: openai, weight: 0", "weight: Input should be greater than or equal to 1"),
        ("provider: openai, weight: 1.5", "weight"),
        ("provider: openai, auth: none", "auth: Input should be 'static'"),
        ("provider: openai, auth: aws_sigv4", "aws_sigv4 is for bedrock only"),
        ("provider: openai, auth: google_service_account", "is for gemini and vertex only"),
        ("provider: openai, signing_region: eu", "only with auth: aws_sigv4"),
        ("provider: openai, operations: []", "operations"),
        ("provider: openai, operations: [chat]", "operations[0]"),
        ("provider: openai, operations: [models]", "leave 'models' out"),
        ("provider: openai, native_operations: [messages]", "may hold completions, responses"),
        ("provider: openai, can_use_tools: 1", "can_use_tools: Input should be a valid boolean"),
        ("provider: openai, is_probed: often", "is_probed"),
    ],
)
def test_a_fact_that_cannot_be_is_named(tmp_path: Path, entry: str, says: str):
    with pytest.raises(InvalidFile) as caught:
        read_one(tmp_path, entry)
    assert says in str(caught.value)


def test_a_list_is_not_called_empty_for_a_fault_of_its_members(tmp_path: Path):
    with pytest.raises(InvalidFile) as caught:
        read_one(tmp_path, "provider: openai, operations: [chat]")
    assert "at least 1 item" not in str(caught.value)


def test_a_strategy_that_does_not_exist_is_named(tmp_path: Path):
    with pytest.raises(InvalidFile, match="strategy: Input should be 'priority'"):
        read_one(tmp_path, "provider: openai", model="strategy: random,")


INJECTED = r"\r\nx-evil: 1"


@pytest.mark.parametrize(
    "field", ["id", "model", "region", "credential", "api_version", "base_url"]
)
@pytest.mark.parametrize("ending", [INJECTED, r"\n", r"\0", "é"])
def test_what_goes_into_a_header_has_no_line_break(tmp_path: Path, field: str, ending: str):
    good = {
        "id": "d",
        "provider": "azure_openai",
        "model": "m",
        "base_url": "https://a.example/v1",
        "region": "eu",
        "credential": "c",
        "api_version": "v",
    }
    lines = [f'"{name}": "{value}{ending * (name == field)}"' for name, value in good.items()]
    with pytest.raises(InvalidFile, match=field):
        read(tmp_path, "models: [{alias: a, deployments: [{" + ", ".join(lines) + "}]}]")


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://",
            "https:///v1",
            "https://:443/v1",
            "https://[::1",
            "https://h:x",
            "https://h:0",
        ),
        *(
            "https://h:99999",
            "https://a b/v1",
            r"https://a\\b/v1",
            "ftp://h/v1",
            "file:///etc/passwd",
        ),
    ],
)
def test_an_address_without_a_host_is_refused(tmp_path: Path, url: str):
    text = f'{{alias: a, deployments: [{{id: d, provider: openai, model: m, base_url: "{url}"}}]}}'
    with pytest.raises(InvalidFile, match="base_url"):
        read(tmp_path, f"models: [{text}]")

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from llm_core.providers.registry import translator_for
from policy_service.adapters.catalogue_file import read_catalogue
from policy_service.adapters.price_list import PriceList, price_files
from policy_service.adapters.sql.company import read_company
from policy_service.bundled import bundled
from policy_service.cli import demo
from policy_service.cli.demo.providers import SANDBOX_KEY, offered

SANDBOX = "http://127.0.0.1:9400"


@pytest.mark.parametrize(
    ("environment", "real"),
    [
        ({}, ()),
        ({"OPENAI_API_KEY": ""}, ()),
        ({"OPENAI_API_KEY": "sk-1"}, ("OpenAI",)),
        ({"OPENAI_API_KEY": "sk-1", "ANTHROPIC_API_KEY": "sk-2"}, ("OpenAI", "Anthropic")),
        ({"GEMINI_API_KEY": "k", "COHERE_API_KEY": "k"}, ("Gemini", "Cohere")),
        # These want to know where, too.
        ({"AZURE_OPENAI_API_KEY": "k", "BEDROCK_API_KEY": "k"}, ()),
        (
            {"BEDROCK_API_KEY": "k", "BEDROCK_RUNTIME_ENDPOINT": "https://bedrock.test/"},
            ("Bedrock",),
        ),
        ({"UNRELATED": "sk-1"}, ()),
    ],
)
def test_a_provider_is_real_when_its_key_is_set(
    environment: dict[str, str], real: tuple[str, ...]
) -> None:
    assert offered(SANDBOX, environment).real == real


def test_the_demos_company_speaks_of_the_demos_models_only() -> None:
    company = read_company(Path(demo.__file__).with_name("company.yaml"))
    offered_models = {model["alias"] for model in offered(SANDBOX, {}).models["models"]}
    for models in company.model_groups.values():
        assert set(models) <= offered_models


def test_without_keys_nothing_leaves_the_machine() -> None:
    offer = offered(SANDBOX, {})
    urls = [d["base_url"] for model in offer.models["models"] for d in model["deployments"]]
    assert urls
    assert all(url.startswith(SANDBOX) for url in urls)
    assert set(offer.credentials.values()) == {SANDBOX_KEY}


def test_a_real_key_goes_to_its_vendor_and_the_sandboxs_key_does_not() -> None:
    offer = offered(SANDBOX, {"OPENAI_API_KEY": "sk-real"})
    for model in offer.models["models"]:
        for deployment in model["deployments"]:
            is_real = deployment["base_url"].startswith("https://api.openai.com/")
            assert (offer.credentials[deployment["credential"]] == "sk-real") is is_real


def test_every_model_of_the_demo_can_be_read_spoken_to_and_priced(tmp_path: Path) -> None:
    file = tmp_path / "models.yaml"
    file.write_text(yaml.safe_dump(offered(SANDBOX, {}).models))
    prices = PriceList(price_files(bundled("prices")))
    offer = offered(SANDBOX, {})
    for model in read_catalogue(file).models:
        for deployment in model.deployments:
            assert translator_for(deployment.provider)
            assert deployment.credential in offer.credentials
            assert prices.price(
                deployment.price_provider or deployment.provider.value,
                deployment.price_model or deployment.model,
                datetime(2026, 11, 20, tzinfo=UTC),
            ), deployment.id

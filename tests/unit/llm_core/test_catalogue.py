import pytest

from llm_core.catalogue import Catalogue, Deployment, Model, ProviderKind
from llm_core.errors import UnknownModel


def deployment(id: str) -> Deployment:
    return Deployment(id, ProviderKind.OPENAI, "gpt-4o-mini", "https://api.openai.com/v1")


SMALL = Model("small", (deployment("one"), deployment("two")))
LARGE = Model("large", (deployment("three"),))


def test_models_and_deployments_are_found_by_name_in_the_order_given():
    catalogue = Catalogue([SMALL, LARGE])
    assert catalogue.models == (SMALL, LARGE)
    assert catalogue.model("large") is LARGE
    assert catalogue.deployment("two") is SMALL.deployments[1]
    assert catalogue.deployment("four") is None


def test_an_unknown_model_is_a_404_that_names_the_model_and_the_parameter():
    with pytest.raises(UnknownModel) as caught:
        Catalogue([SMALL]).model("huge")
    assert "'huge'" in caught.value.public_message
    assert (caught.value.http_status, caught.value.param) == (404, "model")


def test_a_name_of_any_length_does_not_fill_the_answer():
    with pytest.raises(UnknownModel) as caught:
        Catalogue([SMALL]).model("x" * 100_000)
    assert len(caught.value.public_message) < 400


def test_a_model_given_twice_or_without_a_deployment_is_refused():
    with pytest.raises(ValueError, match="twice"):
        Catalogue([SMALL, SMALL])
    with pytest.raises(ValueError, match="no deployment"):
        Catalogue([Model("empty", ())])

"""Every error has a code of its own and a row in the documents; every foreign one is translated."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from llm_core.answer_headers import cost_header, deployment_headers, limit_headers
from llm_core.errors import (
    GatewayError,
    PolicyUnavailable,
    ProviderError,
    ProviderTimeout,
    ProviderUnavailable,
    RateLimited,
)
from llm_core.policy.decision import PricedDeployment
from llm_core.policy.limits import Limit, LimitState, Measure
from llm_core.providers import failures
from llm_core.tokens.usage import TokenUsage
from policy_service.adapters.http_providers import _FAULTS, _translated
from tests.fakes.samples import OPENAI, PRICE

DOCS = Path(__file__).parents[2] / "docs"
ERRORS_PAGE = (DOCS / "errors.md").read_text(encoding="utf-8")
HEADERS_PAGE = (DOCS / "headers.md").read_text(encoding="utf-8")


def tree(kind: type[GatewayError] = GatewayError) -> Iterator[type[GatewayError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from tree(below)


ERRORS = [kind for kind in tree() if kind.__module__ == "llm_core.errors"]


def rows(*names: str) -> dict[str, list[str]]:
    """A table's cells by code."""
    found: dict[str, list[str]] = {}
    for name in names:
        [part] = re.findall(rf"<!-- {name}: begin -->(.*?)<!-- {name}: end -->", ERRORS_PAGE, re.S)
        for line in part.splitlines():
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if line.startswith("| `"):
                assert cells[0].strip("`") not in found, cells[0]
                found[cells[0].strip("`")] = cells
    return found


def test_no_two_errors_share_a_code() -> None:
    assert len({kind.code for kind in ERRORS}) == len(ERRORS)


def test_no_error_is_hidden_outside_of_the_tree() -> None:
    ours = ("llm_core", "kong_plugins", "policy_service")
    elsewhere = [k for k in tree() if k.__module__ not in ("llm_core.errors",)]
    assert not [kind for kind in elsewhere if kind.__module__.startswith(ours)]


def test_every_error_has_its_row_in_the_documents() -> None:
    documented = {
        code: (cells[1], cells[2].strip("`")) for code, cells in rows("errors", "groups").items()
    }
    actual = {kind.code: (str(kind.status), kind.type) for kind in ERRORS}
    table = "\n".join(
        f"| `{kind.code}` | {kind.status} | `{kind.type}` | {_first_line(kind)} | ... |"
        for kind in ERRORS
    )
    assert documented == actual, f"docs/errors.md should hold:\n{table}"


def _first_line(kind: type[GatewayError]) -> str:
    return (kind.__doc__ or "").strip().splitlines()[0]


def test_every_row_says_when_and_what_to_do() -> None:
    for cells in rows("errors").values():
        assert len(cells) == 5
        assert all(cells), cells


def test_what_becomes_of_a_providers_error_is_documented() -> None:
    rules = [
        failures._OUR_CREDENTIAL,
        failures._OUR_QUOTA,
        failures._OUR_CATALOGUE,
        failures._RATE_LIMIT,
        failures._TIMEOUT,
        failures._OVERLOAD,
        failures._other(418),
    ]
    documented = rows("providers")
    assert {rule.code for rule in rules} == set(documented)
    for rule in rules:
        assert documented[rule.code][1].startswith(str(rule.status))
    for status, rule in failures._RULES.items():
        assert str(status) in documented[rule.code][2], status


# --- foreign exceptions

FOREIGN = [
    kind for kind in vars(httpx).values() if isinstance(kind, type) and issubclass(kind, Exception)
]


def _made(kind: type[Exception]) -> Exception:
    if issubclass(kind, httpx.HTTPStatusError):
        request = httpx.Request("POST", "https://x.test")
        return kind("m", request=request, response=httpx.Response(500, request=request))
    if issubclass(kind, httpx.StreamError) and kind is not httpx.StreamError:
        return kind()
    return kind("a secret url")


@pytest.mark.parametrize("kind", FOREIGN, ids=lambda kind: kind.__name__)
def test_every_exception_of_httpx_becomes_a_providers_error(kind: type[Exception]) -> None:
    """An exception that a new httpx brings fails here, and not at a customer."""
    assert issubclass(kind, _FAULTS), f"{kind.__name__} would pass http_providers untranslated"
    error = _translated(_made(kind))
    assert isinstance(error, ProviderError)
    assert "secret" not in error.public_message
    is_late = issubclass(kind, httpx.TimeoutException) and kind not in (
        httpx.ConnectTimeout,
        httpx.PoolTimeout,
    )
    assert type(error) is (ProviderTimeout if is_late else ProviderUnavailable)


# --- headers


def test_every_header_that_we_make_is_in_the_documents() -> None:
    states = [
        LimitState(Limit("team:x", one, PRICE.rates.input), PRICE.rates.input, 1) for one in Measure
    ]
    priced = PricedDeployment(OPENAI, PRICE)
    made = {
        "x-gatehouse-decision-id": "",
        "x-gatehouse-fallbacks": "",
        "x-gatehouse-overhead-ms": "",
        **limit_headers(states),
        **deployment_headers(priced, ("a",)),
        **cost_header(TokenUsage(1, output_tokens=1), priced),
        **RateLimited("x", retry_after_s=1).headers,
        **RateLimited("x", retry_after_s=None).headers,
        **PolicyUnavailable("x").headers,
    }
    missing = [
        name
        for name in made
        if name not in HEADERS_PAGE.lower()
        # The page writes `x-ratelimit-limit-requests`, `-tokens`.
        and name.removesuffix("-tokens") + "-requests" not in HEADERS_PAGE
    ]
    assert not missing

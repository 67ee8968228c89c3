"""Each YAML file that a page shows is taken by who reads it: whole, or laid into a whole one.

Those of docs/policy.md are tried by `tests/integration/policy/test_policy_guide.py`, OPA's
configuration by the tests that let an OPA pull its policy.
"""

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from devkong import schema
from devkong.key_auth import KeyAuth
from devkong.known_groups import KnownGroups
from devkong.vault import Vault
from llm_core.chargeback.rules import Rules, refuse_bad_rules
from policy_service.adapters.alerts_file import read_alerts
from policy_service.adapters.catalogue_file import read_catalogue
from policy_service.adapters.oidc.issuers import read_issuers
from policy_service.adapters.price_list import PriceList
from policy_service.adapters.screening.lists import read_lists
from policy_service.adapters.sql.company.file import read_company
from tests.fixtures.pages import PAGES, ROOT, Block, blocks, name_of

Read = Callable[[Path, str], object]
_ELSEWHERE = {"docs/policy.md", "docs/policy-lifecycle.md"}
_BLOCKS = [
    pytest.param(block, id=f"{name_of(page)}-{number}")
    for page in PAGES
    if name_of(page) not in _ELSEWHERE
    for number, block in enumerate(blocks(page))
    if block.language == "yaml"
]
_VAULT = Vault({"GATEHOUSE_INTERNAL_SECRET": "internal"})
_BUNDLED = {one.name: one.fields for one in (KeyAuth, KnownGroups)}


def _in_company(more: Mapping[str, Any], folder: Path, text: str) -> None:
    """What stands in a company's file."""
    whole = {"id": "acme", "name": "Acme", **more, **yaml.safe_load(text)}
    if "teams" in whole:
        whole["departments"] = [{"id": "research", "teams": whole.pop("teams")}]
    _file(read_company, folder, yaml.safe_dump(whole))


def _file(read: Callable[[Path], object], folder: Path, text: str) -> None:
    file = folder / "shown.yaml"
    file.write_text(text, encoding="utf-8")
    assert read(file)


def _plugins(_: Path, text: str) -> None:
    for plugin in yaml.safe_load(text)["plugins"]:
        name = plugin["name"]
        fields = _BUNDLED.get(name)
        if fields is None:
            fields = import_module(f"kong_plugins.{name.replace('-', '_')}.schema").SCHEMA
        assert schema.check(name, list(fields), plugin["config"], _VAULT).config


def _rules(_: Path, text: str) -> None:
    refuse_bad_rules(msgspec.convert(yaml.safe_load(text), Rules, strict=False))


def _chart_values(_: Path, text: str) -> None:
    chart = ROOT / "deploy" / "helm" / "gatehouse" / "values.yaml"
    for name, values in yaml.safe_load(text).items():
        assert set(values) <= set(yaml.safe_load(chart.read_text("utf-8"))[name])


def _places(_: Path, text: str) -> None:
    [shipped] = yaml.safe_load_all((ROOT / "rego" / "data" / "places.yaml").read_text("utf-8"))
    known = shipped["places"]["default"]
    for name, by_id in yaml.safe_load(text)["places"].items():
        for place in [by_id] if name == "default" else by_id.values():
            assert set(place) <= set(known)
            for key, value in place.items():
                assert type(value) is type(known[key])
                assert not isinstance(value, dict) or set(value) <= set(known[key])


_READERS: Mapping[str, Read] = {
    "id": partial(_file, read_company),
    "teams": partial(_in_company, {}),
    "limits": partial(_in_company, {"model_groups": {"frontier": ["gpt-4o"]}}),
    "models": partial(_file, read_catalogue),
    "currency": partial(_file, lambda file: PriceList([file])),
    "issuers": partial(_file, read_issuers),
    "time_zone": partial(_file, lambda file: read_alerts(file, lambda _: "https://x.example")),
    "shared": _rules,
    "plugins": _plugins,
    "content": lambda _, text: read_lists(yaml.safe_load(text)["content"]),
    "kong": _chart_values,
    "places": _places,
}
"""Who reads a file, by its first key."""


@pytest.mark.parametrize("block", _BLOCKS)
async def test_a_file_on_a_page_is_taken(block: Block, tmp_path: Path) -> None:
    _READERS[next(iter(yaml.safe_load(block.text)))](tmp_path, block.text)

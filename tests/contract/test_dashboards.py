"""The board and the alerts ask for nothing that is not told."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from prometheus_client import generate_latest

from kong_plugins._runtime.measures import _Measures
from llm_core.alerts.incident import IncidentKind
from tests.fakes.running_service import running_service
from tests.fixtures.pages import blocks
from tests.fixtures.scraping import names

ROOT = Path(__file__).parents[2]
BOARD = ROOT / "deploy" / "grafana" / "gatehouse.json"
RULES = ROOT / "deploy" / "prometheus" / "gatehouse.rules.yml"
TRIED = ROOT / "deploy" / "prometheus" / "gatehouse.rules.test.yml"
CONFIG = ROOT / "deploy" / "prometheus" / "prometheus.yml"
RUNBOOK = ROOT / "docs" / "runbook.md"
GUIDE = ROOT / "docs" / "observability.md"
_LABELS = re.compile(r"([a-z_]+)\s*(?:=~|!~|!=|=)\s*\"")
_BY = re.compile(r"\bby \(([a-z_, ]+)\)")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def labelled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Every name, with its labels."""
    plugin = _Measures("llm-auth").registry
    async with running_service(tmp_path_factory.mktemp("service"), metrics_open=True) as running:
        opened: Any = running.opened.metrics
        written = (await opened.written() + generate_latest(plugin)).decode()
        metrics = dict(opened._registry._names_to_collectors)
    metrics |= plugin._names_to_collectors
    found = {name: set(metrics[name]._labelnames) for name in names(written) & metrics.keys()}
    # What is made for each scrape shows its labels there.
    for name, said in re.findall(r"^(\w+)\{(.*)\} ", written, re.MULTILINE):
        found.setdefault(name, set()).update(set(re.findall(r"(\w+)=\"", said)) - {"le"})
    return {name: set() for name in names(written)} | found


@pytest.fixture(scope="module")
def known(labelled: dict[str, set[str]]) -> tuple[set[str], set[str]]:
    """Every name, and every label."""
    return set(labelled), {"instance", "job", "le"}.union(*labelled.values())


def expressions(board: Any) -> list[str]:
    asked = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    return asked + [
        variable["query"]["query"]
        for variable in board["templating"]["list"]
        if variable["type"] == "query"
    ]


def unknown(asked: list[str], known: tuple[set[str], set[str]]) -> set[str]:
    said_names = {name for one in asked for name in re.findall(r"\b(?:gatehouse|kong)_\w+", one)}
    said_labels = {label for one in asked for label in _LABELS.findall(one)}
    said_labels |= {
        label.strip() for one in asked for by in _BY.findall(one) for label in by.split(",")
    }
    assert said_names
    return (said_names - known[0]) | (said_labels - known[1])


@pytest.mark.asyncio(loop_scope="module")
async def test_the_board_asks_for_what_is_told(known: tuple[set[str], set[str]]) -> None:
    assert not unknown(expressions(json.loads(BOARD.read_text("utf-8"))), known)


@pytest.mark.asyncio(loop_scope="module")
async def test_the_alerts_ask_for_what_is_told(known: tuple[set[str], set[str]]) -> None:
    assert not unknown([rule["expr"] for rule in rules()], known)


@pytest.mark.asyncio(loop_scope="module")
async def test_the_runbook_asks_for_what_is_told(known: tuple[set[str], set[str]]) -> None:
    assert not unknown([one.text for one in blocks(RUNBOOK) if one.language == "promql"], known)


@pytest.mark.asyncio(loop_scope="module")
async def test_the_guide_lists_every_name(known: tuple[set[str], set[str]]) -> None:
    """A histogram is listed by its name alone."""
    told = set(re.findall(r"`((?:gatehouse|kong)_\w+)`", GUIDE.read_text("utf-8")))
    families = {re.sub(r"_(bucket|count|sum)$", "", name) for name in known[0]}
    assert families - told == set()
    assert told - families == set()


@pytest.mark.asyncio(loop_scope="module")
async def test_the_guide_lists_the_labels_of_each_name(labelled: dict[str, set[str]]) -> None:
    rows = re.findall(
        r"^\| `(gatehouse_\w+)` \| (.*?) \|", GUIDE.read_text("utf-8"), flags=re.MULTILINE
    )
    told = {name: set(re.findall(r"`(\w+)`", cell)) for name, cell in rows}
    families = {re.sub(r"_(bucket|count|sum)$", "", name): one for name, one in labelled.items()}
    assert told == {name: one for name, one in families.items() if name.startswith("gatehouse_")}


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load(RULES.read_text("utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def test_every_alert_says_how_bad_it_is_what_it_means_and_stands_in_the_guide() -> None:
    guide = GUIDE.read_text("utf-8")
    found = rules()
    assert len({rule["alert"] for rule in found}) == len(found)
    for rule in found:
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"]
        assert f"`{rule['alert']}`" in guide


def test_the_board_can_be_imported() -> None:
    board = json.loads(BOARD.read_text("utf-8"))
    assert board["uid"]
    assert board["title"]
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    variables = {variable["name"] for variable in board["templating"]["list"]}
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        assert panel["type"] == "row" or panel["targets"]
    used = set(re.findall(r"\$\{?([a-z_]+)\}?", BOARD.read_text("utf-8")))
    assert used - {"__all", "__rate_interval"} <= variables


def test_parentheses_and_quotes_are_in_pairs() -> None:
    board = json.loads(BOARD.read_text("utf-8"))
    for asked in [*expressions(board), *(rule["expr"] for rule in rules())]:
        for opening, closing in ("()", "{}", "[]"):
            assert asked.count(opening) == asked.count(closing), asked
        assert asked.count('"') % 2 == 0, asked


def test_each_alert_is_tried_on_what_it_fires_on_and_on_what_it_does_not() -> None:
    """`tests/integration/deploy/test_prometheus_rules.py` has promtool try them."""
    fires, quiet = set(), set()
    for group in yaml.safe_load(TRIED.read_text("utf-8"))["tests"]:
        for one in group["promql_expr_test"]:
            [name] = re.findall(r'alertname="(\w+)"', one["expr"])
            (fires if one["exp_samples"] else quiet).add(name)
    assert fires == quiet == {rule["alert"] for rule in rules()}


def test_prometheus_is_told_to_scrape_both_and_to_read_the_rules() -> None:
    config = yaml.safe_load(CONFIG.read_text("utf-8"))
    assert {one["job_name"] for one in config["scrape_configs"]} == {
        "gatehouse",
        "gatehouse-plugins",
    }
    assert config["rule_files"] == [RULES.name]


def test_every_alert_and_every_kind_of_incident_has_a_section_in_the_runbook() -> None:
    sections = re.findall(r"^### (\w+)$", RUNBOOK.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(sections) == len(set(sections))
    rules = [
        rule
        for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
        if "alert" in rule
    ]
    alerts = {rule["alert"]: rule["annotations"]["runbook"] for rule in rules}
    assert alerts == {name: f"docs/runbook.md#{name.lower()}" for name in alerts}
    assert set(sections) == set(alerts) | {kind.value for kind in IncidentKind}

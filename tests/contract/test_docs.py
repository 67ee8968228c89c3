"""What the documents say is what the code does: names, fields, tables, links, commands.

A table between `<!-- name: begin -->` and `<!-- name: end -->` holds what the code says; where it
does not, the failure shows the table as it should stand.
"""

import ast
import asyncio
import importlib.util
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import typer.main
import yaml

from dashboard.settings import load_settings
from kong_plugins.llm_auth.credential import MAY_TRAVEL, MAY_TRAVEL_PREFIXES
from kong_plugins.llm_auth.plugin import Plugin as AuthPlugin
from kong_plugins.llm_provider_transform.plugin import Plugin as TransformPlugin
from kong_plugins.llm_token_meter.plugin import Plugin as MeterPlugin
from llm_core.audit.findings import MEANINGS, Fault
from policy_service.cli import app as gatehouse
from policy_service.cli.kong import PLUGINS
from policy_service.cli.providers import features_table, operations_table, servers_table
from policy_service.settings import Settings
from tests.fakes.kong import FakeKong
from tests.fakes.policy_service import SECRET, FakePolicyService
from tests.fakes.samples import AZURE, CALLER, OPENAI, chat_body, decision, openai_answer
from tests.fixtures.pages import PAGES, ROOT, blocks, name_of

DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
SOURCES = (
    "llm_core", "kong_plugins", "policy_service", "dashboard", "devkong", "sandbox", "rego",
    "prices", "tests", "docs",
)  # fmt: skip
TEST_FOLDERS = (
    "unit", "golden", "property", "fuzz", "contract", "integration", "e2e", "browser", "kong",
)  # fmt: skip
ROOT_COMMAND: Any = typer.main.get_command(gatehouse)
each_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return re.sub(r"^ *```.*?^ *```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def code_spans(page: Path) -> list[str]:
    return re.findall(r"`([^`\n]+)`", prose(page))


def table(page: str, name: str) -> str:
    """What stands between a table's marks."""
    found = re.search(rf"<!-- {name}: begin -->\n(.*?)<!-- {name}: end -->", read(page), re.DOTALL)
    assert found, f"{page} has no table {name}"
    return found[1]


def rows(text: str) -> list[list[str]]:
    """A table's cells, without its head; `\\|` in a cell is no border."""
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


# --- settings and fields ------------------------------------------------------------------------


def settings_table() -> str:
    lines = ["| Setting | Default | Meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = "required" if field.is_required() else _shown(default)
        shown_name = f"POLICY_{name.upper()}" + ("__<NAME>" if default == {} else "")
        lines.append(f"| `{shown_name}` | {shown} | {field.description} |")
    return "\n".join(lines) + "\n"


def fields_table(plugin: str) -> str:
    lines = ["| Field | Type | Default | Meaning |", "|---|---|---|---|"]
    for entry in import_module(f"kong_plugins.{plugin.replace('-', '_')}.schema").SCHEMA:
        [(name, rule)] = entry.items()
        shown = "required" if rule.get("required") else _shown(rule.get("default"))
        lines.append(f"| `{name}` | {_type(rule)} | {shown} | {rule['description']} |")
    return "\n".join(lines) + "\n"


def _shown(default: object) -> str:
    if default is None or default == {}:
        return "none"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _type(rule: dict[str, Any]) -> str:
    kind = str(rule["type"])
    if "one_of" in rule:
        return " or ".join(f"`{one}`" for one in rule["one_of"])
    if "between" in rule:
        low, high = rule["between"]
        return f"{kind}, {low} to {high}"
    if "gt" in rule:
        return f"{kind} above {rule['gt']}"
    is_reference = rule.get("referenceable") or rule.get("values", {}).get("referenceable")
    return f"{kind}, may be a vault reference" if is_reference else kind


def test_the_reference_of_settings_is_the_services() -> None:
    assert table("docs/settings.md", "settings") == settings_table()


def test_every_finding_is_explained_to_auditors() -> None:
    lines = ["| Finding | What it means |", "|---|---|"]
    lines += [f"| `{fault}` | {MEANINGS[fault]} |" for fault in Fault]
    assert table("docs/audit.md", "findings") == "\n".join(lines) + "\n"


@pytest.mark.parametrize("plugin", PLUGINS)
def test_the_table_of_a_plugins_fields_is_its_schema(plugin: str) -> None:
    assert table("docs/kong.md", f"fields {plugin}") == fields_table(plugin)


def test_the_dashboards_settings_are_all_there_with_their_defaults() -> None:
    documented = {
        row[0].strip("`"): row[1].strip("`")
        for row in rows(read("docs/settings.md").split("## Dashboard")[1])
    }
    required = {name: "x" for name, default in documented.items() if default == "required"}
    assert str(load_settings(required).timeout_s) == documented["DASHBOARD_TIMEOUT_S"]
    for name in required:
        with pytest.raises(Exception, match=name):
            load_settings({**required, name: ""})


def test_every_setting_of_the_dashboard_is_in_its_table() -> None:
    documented = {
        row[0].strip("`") for row in rows(read("docs/settings.md").split("## Dashboard")[1])
    }
    source = read("dashboard/settings.py")
    assert documented == set(re.findall(r"\bDASHBOARD_[A-Z_]*[A-Z]\b", source))


def test_every_setting_a_page_names_exists() -> None:
    known = {f"POLICY_{name.upper()}" for name in Settings.model_fields}
    for page in PAGES:
        for name in re.findall(r"\bPOLICY_[A-Z_]+[A-Z]", page.read_text("utf-8")):
            assert name.split("__")[0] in known, f"{page.name} names {name}"


def test_the_headers_that_may_travel_on_are_all_named() -> None:
    [sentence] = re.findall(r"but these:(.*?)\. Others", read("docs/headers.md"), re.S)
    named = set(re.findall(r"`([\w-]+)`", sentence))
    assert named == (MAY_TRAVEL - {"authorization"}) | set(MAY_TRAVEL_PREFIXES)


def test_every_header_of_ours_is_explained() -> None:
    explained = read("docs/headers.md")
    for package in ("llm_core", "kong_plugins", "policy_service"):
        for module in (ROOT / package).rglob("*.py"):
            if "providers" in module.parts or module.name == "aws_signing.py":
                continue  # vendors' own headers
            for name in re.findall(r"\"(x-[a-z-]*[a-z])", module.read_text("utf-8")):
                # The other is a compression.
                assert name in explained or name == "x-gzip", f"{module.name} has {name}"


# --- links, paths, tests ------------------------------------------------------------------------


@each_page
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, fragment = unquote(target).partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (fragment and fragment not in _anchors(there)):
            broken.append(target)
    assert not broken


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


@each_page
def test_every_file_of_ours_that_a_page_names_is_there(page: Path) -> None:
    named = [span.split("::")[0].split(" ")[0] for span in code_spans(page)]
    paths = [path for path in named if path.split("/")[0] in SOURCES and "/" in path]
    missing = [path for path in paths if not set("<>*{") & set(path) and not (ROOT / path).exists()]
    assert not missing


@each_page
def test_every_test_that_a_page_names_is_there(page: Path) -> None:
    for span in code_spans(page):
        path, separator, name = span.removeprefix("tests/").partition("::")
        if separator and path.split("/")[0] in TEST_FOLDERS:
            assert re.search(rf"^(async )?def {name}\(", read(f"tests/{path}"), re.MULTILINE), span


def test_every_failure_is_shown_by_a_test() -> None:
    failures = rows(table("docs/architecture.md", "failures"))
    assert failures
    for situation, _, _, test in failures:
        assert "::test_" in test, situation


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem[:4])
def test_a_decision_has_its_five_parts_on_one_screen(page: Path) -> None:
    text = page.read_text("utf-8")
    assert text.startswith(f"# {page.name[:4]}: ")
    parts = re.findall(r"^## (.+)$", text, flags=re.MULTILINE)
    assert parts == ["Context", "Decision", "Consequences", "Alternatives", "References"]
    assert len(text.splitlines()) <= 60


def test_every_decision_has_a_number_of_its_own() -> None:
    numbers = [page.name[:4] for page in DECISIONS]
    assert len(set(numbers)) == len(numbers)


# --- commands and snippets ----------------------------------------------------------------------


def code(page: Path) -> Iterator[str]:
    """Everything on a page that is set as code."""
    yield from code_spans(page)
    for block in blocks(page):
        if block.language in ("", "console", "text", "sh", "bash"):
            yield from block.text.replace("\\\n", " ").splitlines()


@each_page
def test_every_make_target_that_a_page_names_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", read("Makefile"), flags=re.MULTILINE))
    named = {name for text in code(page) for name in re.findall(r"\bmake ([a-z-]+)", text)}
    assert named <= targets


@each_page
def test_every_gatehouse_command_that_a_page_names_exists(page: Path) -> None:
    for text in code(page):
        found = re.search(r"^(?:\$ )?(?:\S*/)?gatehouse ([a-z].*)", text)
        if found:
            _resolve(shlex.split(found[1], comments=True))


def _resolve(words: list[str]) -> None:
    """Walk from the root command to the one that is meant; every option must be its own."""
    command = ROOT_COMMAND
    for word in words:
        if word.startswith("-"):
            options = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
            assert word.split("=")[0] in options, f"{command.name} has no {word}"
        elif hasattr(command, "commands"):
            assert word in command.commands, f"gatehouse has no command {' '.join(words)}"
            command = command.commands[word]


@each_page
def test_every_module_that_is_to_be_run_exists(page: Path) -> None:
    for text in code(page):
        for name in re.findall(r"python3? -m ([\w.]+)", text):
            assert importlib.util.find_spec(name), name


@each_page
def test_every_snippet_can_be_read(page: Path) -> None:
    for block in blocks(page):
        match block.language:
            case "python":
                ast.parse(block.text)
            case "yaml":
                yaml.safe_load(block.text)
            case "console":
                commands = re.sub(r"^(\$|>) ?", "", block.text, flags=re.MULTILINE)
                subprocess.run(["/bin/sh", "-n", "-c", commands], check=True)
            case _:
                pass


# --- PDK calls ----------------------------------------------------------------------------------

PDK = "## PDK calls"
NEXT = "## The plugins and the policy service"


def pdk_section() -> str:
    return read("docs/architecture.md").split(PDK)[1].split(NEXT)[0]


async def _calls(way: str) -> dict[tuple[str, str], list[str]]:
    """What each phase of a call asks of Kong, by plugin and phase."""
    decided = decision(OPENAI) if way == "direct" else decision(OPENAI, AZURE)
    kong = FakeKong(
        {
            "request.get_headers": {"authorization": ["Bearer gk-1"]},
            "request.get_raw_body": chat_body(),
            "service.response.get_raw_body": openai_answer(),
            "log.serialize": {"upstream_status": "200", "response": {"status": 200}},
        }
    )
    found: dict[tuple[str, str], list[str]] = {}
    async with FakePolicyService(callers={"gk-1": CALLER}, decision=decided).running() as service:
        common = {"policy_url": service.url, "policy_secret": SECRET, "timeout_ms": 5000}
        auth = AuthPlugin(common)
        meter = MeterPlugin(
            {**common, "operation": "chat.completions", "journal_path": "/nonexistent/journal"}
        )
        transform = TransformPlugin({"credentials": {"openai": "sk-1"}})
        story = [
            ("llm-auth", "access", auth.access),
            ("llm-token-meter", "access", meter.access),
            ("llm-provider-transform", "access", transform.access),
            ("llm-provider-transform", "response", transform.response),
            ("llm-token-meter", "log", meter.log),
        ]
        try:
            for plugin, phase, run in story:
                found[plugin, phase] = []
                if (way, phase) == ("relay", "response"):
                    continue  # Kong skips it where buffering is off
                kong.calls.clear()
                await kong.run(run)
                found[plugin, phase] = kong.methods
        finally:
            async with asyncio.timeout(10):
                await asyncio.gather(auth.close(), meter.close())
    return found


@pytest.mark.parametrize(("way", "column"), [("direct", 2), ("relay", 3)])
async def test_the_table_counts_the_pdk_calls_that_a_call_takes(way: str, column: int) -> None:
    calls = await _calls(way)
    documented = {(row[0].strip("`"), row[1]): row for row in rows(pdk_section()) if len(row) == 5}
    assert documented.keys() == calls.keys()
    for phase, row in documented.items():
        own = re.search(rf"{way}: ([^;]+)", row[4])
        named = set(re.findall(r"`([\w.]+)`", own[1] if own else row[4]))
        assert int(row[column]) == len(calls[phase]), (phase, calls[phase])
        assert not calls[phase] or named == set(calls[phase])


async def test_the_totals_of_pdk_calls_are_the_tables() -> None:
    totals = [int(number) for number in re.findall(r"\b(\d+) (?:before|after|on)\b", pdk_section())]
    direct, relay = await _calls("direct"), await _calls("relay")
    assert totals == [
        sum(len(calls) for (_, phase), calls in direct.items() if phase == "access"),
        sum(len(calls) for (_, phase), calls in direct.items() if phase == "response"),
        sum(len(calls) for (_, phase), calls in relay.items() if phase == "access"),
    ]


def test_every_pdk_call_in_the_plugins_is_in_a_table() -> None:
    named = {name for name in re.findall(r"`([\w.]+)`", pdk_section()) if "." in name}
    used = {
        method
        for plugin in PLUGINS
        for module in (ROOT / "kong_plugins" / plugin.replace("-", "_")).glob("*.py")
        for method in _pdk_calls(ast.parse(module.read_text("utf-8")))
    }
    assert used <= named
    assert used | {"ctx.shared.get", "ctx.shared.set"} == named


def _pdk_calls(tree: ast.AST) -> Iterator[str]:
    """`kong.a.b(...)`, and `x.b(...)` where `x = kong.a`."""
    aliases = {"kong": ""}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            chain = ast.unparse(node.value)
            if re.fullmatch(r"kong(\.\w+)+", chain):
                aliases[node.targets[0].id] = chain.removeprefix("kong.") + "."
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            root, _, rest = ast.unparse(node.func).partition(".")
            if root in aliases:
                yield aliases[root] + rest


@pytest.mark.parametrize(
    ("name", "made"),
    [("operations", operations_table), ("features", features_table), ("servers", servers_table)],
)
def test_the_tables_of_providers_are_what_the_translators_do(
    name: str, made: Callable[[], str]
) -> None:
    """`gatehouse providers` prints them."""
    assert table("docs/providers.md", name) == made()

"""Every fenced block of every page has a reader, or fails here.

| Kind | Read by |
|---|---|
| `console`, `sh`, `python`, and the answers right below | `tests/e2e/test_guides.py` and others |
| `yaml` | `tests/contract/test_docs_files.py` and others |
| `rego` | `tests/integration/policy` |
| `promql`, `redis`, `sql` | `tests/integration/sql/test_runbook.py` |
| `usage` | `tests/contract/test_cli_reference.py` |
| other `json` and `text`, `ini`, drawings | this file |
"""

import json
import logging
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from devkong.conf import parse_conf
from kong_plugins._runtime import flags
from llm_core.alerts.incident import Incident, Notice, NoticeEvent
from llm_core.errors import ContentBlocked, GatewayError, PermissionDenied, PolicyDenied, error_body
from llm_core.policy.approvals import ApprovalState
from llm_core.policy.decision import Reason
from policy_service.adapters import policy_answer
from policy_service.adapters.channels import webhook as channel
from policy_service.adapters.webhook import _approval_body
from policy_service.api.problems import problem_of
from policy_service.cli import app
from policy_service.cli.kong import PLUGINS
from policy_service.json_logs import JsonFormatter
from policy_service.ports.alerts import Alert
from policy_service.ports.approvals import ApprovalNotice, ApprovalRecord, NoticeKind
from policy_service.ports.report_schedules import (
    Cadence,
    ReportKind,
    ReportRun,
    ReportSchedule,
    RunState,
)
from policy_service.services import report_sender
from policy_service.services.alerting.budgets import trouble_of
from policy_service.services.findings import RecordedFindings
from policy_service.services.report_making import ReportMaking, ReportPart
from policy_service.services.report_page import ReportPage
from policy_service.services.report_periods import latest_over
from tests.fakes.clock import NOON
from tests.fixtures.guides import ELSEWHERE, WALKS, why_not
from tests.fixtures.pages import PAGES, ROOT, Block, blocks, name_of, typed
from tests.fixtures.reservations import reservation
from tests.fixtures.shown import read_shown, unlike

OTHERS = {"console", "promql", "python", "redis", "sh", "sql", "usage", "yaml"}
OF_REGO = {"docs/policy.md", "docs/policy-lifecycle.md"}
Made = Callable[[], Any]


def left_over(page: str, *languages: str) -> list[Block]:
    """The blocks of a page that are no answers to what is typed somewhere."""
    answers = [
        one.answer
        for one in typed(ROOT / page)
        if page in {*WALKS, *ELSEWHERE} and not any(why_not(command) for command in one.commands)
    ]
    found = (one for one in blocks(ROOT / page) if one.language in languages)
    return [one for one in found if one not in answers]


# --- examples of JSON, each held against what really makes it


def _approval_notice() -> Any:
    record = ApprovalRecord(
        id="apr_1",
        state=ApprovalState.REQUESTED,
        model="o1-pro",
        node="user:sam",
        organisation="acme",
        department="research",
        team="search",
        project=None,
        requester="user:sam",
        reason="the launch",
        asked_usd=Decimal(50),
        asked_until=NOON,
        created_at=NOON,
        answer_by=NOON,
    )
    return _approval_body(ApprovalNotice(NoticeKind.REQUESTED, record, NOON))


def _budget_notice() -> Any:
    alert = Alert(
        limit_key="team:search:usd_per_month",
        period="2026-11",
        percent=80,
        node="team:search",
        measure="usd_per_month",
        at=NOON,
        used=Decimal("80.5"),
        amount=Decimal(100),
    )
    fields = asdict(trouble_of(alert))
    del fields["stage"]
    incident = Incident(id="inc_1", opened_at=NOON, last_seen_at=NOON, **fields)
    told = channel._body(Notice("ntc_1", "ops", NoticeEvent.WORSE, NOON, incident))
    return {**told, "incident": asdict(incident)}


def _log_line() -> Any:
    said = "about dec_01m7x907j9ncdeyrj35n97y4px"
    record = logging.LogRecord("x", logging.WARNING, "x", 1, said, (), None)
    return json.loads(JsonFormatter().format(record))


class _Heard:
    """Stands where events are taken note of."""

    def note_event(self, _kind: str, _whose: str, payload: dict[str, Any], **_: Any) -> None:
        self.payload = payload


def _findings() -> Any:
    heard: Any = _Heard()
    counts = {"guard.INJECTION": 1, "input.EMAIL_ADDRESS": 1, "input.IBAN_CODE": 1}
    RecordedFindings(heard).note(reservation("dec_1"), counts)
    return heard.payload


def _obligations() -> Any:
    [shown] = [one for one in left_over("docs/screening.md", "json") if '"pii"' in one.text]
    document = read_shown(shown.text)
    assert policy_answer._pii(document["pii"])
    [lists] = yaml.safe_load_all((ROOT / "rego" / "data" / "content.yaml").read_text("utf-8"))
    assert document["guard"] in lists["content"]["guards"]
    return document


def _report() -> Any:
    due = latest_over(Cadence.MONTHLY, NOON, "UTC")
    schedule = ReportSchedule(
        id="acme-monthly",
        organisation="acme",
        node="organisation:acme",
        kind=ReportKind.CHARGEBACK,
        cadence=Cadence.MONTHLY,
        hour=9,
        to=("webhook:finance",),
        since=NOON,
        set_by="",
    )
    nobody: Any = None
    making = ReportMaking(nobody, nobody, schedule, due)
    part, page = ReportPart(schedule.node, schedule.to), ReportPage("s", "h", "t", Decimal(1))
    run = ReportRun("r", "", "", "", RunState.SENDING, 1, NOON, NOON, None, "")
    return report_sender._body(making, part, run, page)


_REASON = asdict(Reason("approval_required", "m", "llm.approvals", "s"))
EXAMPLES: Mapping[str, tuple[Made, ...]] = {
    "docs/admin-api.md": (lambda: asdict(problem_of(PermissionDenied("None of your roles."))),),
    "docs/approvals.md": (
        lambda: error_body(PolicyDenied("m", reasons=(_REASON,), param="model")),
        _approval_notice,
    ),
    "docs/errors.md": (lambda: error_body(GatewayError("m")),),
    "docs/limits.md": (_budget_notice,),
    "docs/observability.md": (_log_line,),
    "docs/reports.md": (_report,),
    "docs/screening.md": (
        _obligations,
        lambda: error_body(ContentBlocked("m", kinds=["EMAIL_ADDRESS"])),
        _findings,
    ),
}
"""What makes the JSON of each page, in the page's order."""


@pytest.mark.parametrize("page", sorted(EXAMPLES))
def test_an_example_is_like_what_is_really_said(page: str) -> None:
    for block, made in zip(left_over(page, "json"), EXAMPLES[page], strict=True):
        real = json.loads(json.dumps(made(), default=str))
        assert unlike(read_shown(block.text), real) == "", block.text


# --- lines of configuration


@pytest.mark.parametrize("page", ["docs/kong.md", "docs/observability.md"])
def test_lines_of_kong_conf_are_a_plugin_servers(page: str, tmp_path: Path) -> None:
    for block in left_over(page, "ini"):
        named = {line.partition(" = ")[0] for line in block.text.splitlines()}
        known = {f"pluginserver_llm_auth_{one}" for one in ("socket", "start_cmd", "query_cmd")}
        assert named <= known
        [server] = parse_conf(f"pluginserver_names = llm-auth\n{block.text}").plugin_servers
        if server.start_cmd is not None:
            _, minus_m, module, *given = shlex.split(server.start_cmd)
            assert (minus_m, module) == ("-m", "kong_plugins.llm_auth")
            given[given.index("--kong-prefix") + 1] = str(tmp_path)
            read = flags.parse("llm-auth", given)
            assert read.metrics_at or read.traces_to


INI = {"docs/kong.md", "docs/observability.md", "docs/scaling.md"}
"""The last is Redis' own: `tests/integration/sql/test_runbook.py`."""


# --- what `gatehouse apply` says


def _company(users: list[str], **team: Any) -> str:
    research = {"id": "research", "teams": [{"id": "search", **team}]}
    people = [{"id": one, "team": "search"} for one in users]
    centres = [{"id": "cc-100"}]
    return yaml.safe_dump(
        {"id": "acme", "cost_centres": centres, "users": people, "departments": [research]}
    )


def test_the_differences_that_are_shown_are_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POLICY_DATABASE_URL", f"sqlite:///{tmp_path}/gatehouse.db")
    file = tmp_path / "company.yaml"
    project = {"id": "ranking", "cost_centre": "cc-100"}
    before = _company(["terry"], limits={"usd_per_month": 150})
    after = _company([], limits={"usd_per_month": 200}, projects=[project])
    for text in (before, after):
        file.write_text(text, "utf-8")
        done = CliRunner().invoke(app, ["apply", "-f", str(file)])
        assert done.exit_code == 0, done.output
    [shown] = left_over("docs/organisation.md", "text")
    assert done.output.startswith(shown.text)


# --- drawings


def test_a_drawing_is_one_and_a_tree_names_what_is_there() -> None:
    for page in PAGES:
        for block in left_over(name_of(page), ""):
            if "│" in block.text or "├" in block.text:
                for plugin in re.findall(r"\bllm-[a-z-]+", block.text):
                    assert plugin in PLUGINS
                continue
            folder = ROOT
            for indent, name in re.findall(r"^( *)(\S+?)/?  ", block.text, re.MULTILINE):
                folder = folder if indent else ROOT / name
                assert (folder / name if indent else folder).exists(), name


# --- nothing is left


def test_every_fence_is_a_block_that_can_be_found() -> None:
    for page in PAGES:
        fences = re.findall(r"^ *(?:```|~~~)", page.read_text("utf-8"), flags=re.MULTILINE)
        assert len(fences) == 2 * len(blocks(page)), f"{name_of(page)}: a fence is not read"


def test_a_console_holds_commands_alone() -> None:
    """What they answer stands in a block of its own below, which is held against the real one."""
    for page in PAGES:
        for block in blocks(page):
            if block.language == "console":
                rest = re.sub(r"^\$ (?:.*\\\n)*.*$", "", block.text, flags=re.MULTILINE)
                assert not rest.strip(), f"{name_of(page)}: {rest}"


def test_every_block_of_every_page_has_a_reader() -> None:
    unread = []
    for page in map(name_of, PAGES):
        kinds = {one.language for one in blocks(ROOT / page)} - OTHERS - {"", "json", "text"}
        kinds -= ({"rego"} if page in OF_REGO else set()) | ({"ini"} if page in INI else set())
        unread += [f"{page}: {kind}" for kind in kinds]
        if page not in EXAMPLES:
            unread += [f"{page}: {one.text}" for one in left_over(page, "json")]
        if page != "docs/organisation.md":
            unread += [f"{page}: {one.text}" for one in left_over(page, "text")]
    assert unread == []

"""The alerts' file: what it may say, and what it is told when it says something else."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from llm_core.alerts.incident import IncidentKind, Severity
from llm_core.alerts.rules import AlertRules, JournalGrowing
from policy_service.adapters import alerts_file
from policy_service.adapters.alerts_file import AlertsConfig, read_alerts

SECRETS = {
    "ops_webhook": "signing-0123456789",
    "slack_url": "https://hooks.slack.test/services/T0/B0/s3cret",
    "smtp": "hush",
    "nonsense": "s3cret",
}


def read(tmp_path: Path, text: str) -> AlertsConfig:
    path = tmp_path / "alerts.yaml"
    path.write_text(text, encoding="utf-8")
    return read_alerts(path, SECRETS.get)


async def closed(config: AlertsConfig) -> AlertsConfig:
    for channel in config.channels:
        await channel.close()
    return config


async def test_the_example_of_the_docstring_says_what_it_says(tmp_path: Path) -> None:
    [example] = re.findall(r"```yaml\n(.*?)```", alerts_file.__doc__ or "", re.DOTALL)
    config = await closed(read(tmp_path, example))
    assert [(one.name, one.kind) for one in config.channels] == [
        ("ops", "webhook"),
        ("chat", "slack"),
        ("finance", "email"),
    ]
    saturday = datetime(2026, 11, 21, 12, tzinfo=UTC)
    due = config.routes.due(IncidentKind.BUDGET, Severity.WARNING, saturday)
    # Berlin is an hour ahead, and quiet until Monday, 7 o'clock.
    assert due == dict.fromkeys(("ops", "chat", "finance"), datetime(2026, 11, 23, 6, tzinfo=UTC))
    assert set(config.routes.due(IncidentKind.BACKLOG, Severity.INFO, saturday)) == {"ops"}
    assert config.rules.off == {IncidentKind.PROVIDER_DOWN}
    assert config.rules.spend_anomaly.rules.floor_usd == Decimal(50)


async def test_the_page_about_alerts_tells_the_rules_that_hold_by_default(tmp_path: Path) -> None:
    page = Path(__file__).parents[4] / "docs" / "alerts.md"
    [example] = re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert (await closed(read(tmp_path, example))).rules == AlertRules()


async def test_a_file_that_says_little_leaves_the_rules_as_they_are(tmp_path: Path) -> None:
    assert read(tmp_path, "time_zone: UTC\n").rules == AlertRules()


async def test_people_can_be_told_again_of_each_kind_in_its_time(tmp_path: Path) -> None:
    rules = read(tmp_path, "rules: {again_after_h: 0, budget: {again_after_h: 12}}").rules
    assert rules.again_after_for(IncidentKind.BUDGET) == timedelta(hours=12)
    assert rules.again_after_for(IncidentKind.BACKLOG) is None


async def test_how_long_a_journal_may_hold_reports_is_said_in_minutes(tmp_path: Path) -> None:
    rules = read(tmp_path, "rules: {journal_growing: {reports: 50, after_min: 20}}").rules
    assert rules.journal_growing == JournalGrowing(50, timedelta(minutes=20))


WEBHOOK = "{name: ops, kind: webhook, url: 'https://a.test', secret: ops_webhook}"
EMAIL = "name: m, kind: email, from: a@b.c, to: [d@e.f]"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("channels: [{name: ops, kind: pager}]", "webhook"),
        (f"channels: [{WEBHOOK}, {WEBHOOK}]", "two channels are called ops"),
        ("channels: [{name: ops, kind: webhook, url: 'https://a.test'}]", "secret"),
        ("channels: [{name: ops, kind: webhook, secret: ops_webhook}]", "either `url` or"),
        ("channels: [{name: A b, kind: slack, url_secret: slack_url}]", "name"),
        ("channels: [{name: ops, kind: slack, url_secret: none}]", "POLICY_CREDENTIALS__NONE"),
        ("channels: [{name: ops, kind: slack, url_secret: nonsense}]", "no https:// address"),
        (f"channels: [{{{EMAIL}, host: mail.test, security: none}}]", "on this machine"),
        (f"channels: [{{{EMAIL}, host: mail.test, username: u}}]", "go together"),
        (f"channels: [{{{EMAIL}, host: m.test, ca_file: /none.pem}}]", "no certificates"),
        ("channels: [{name: m, kind: email, host: a, from: a@b.c, to: []}]", "to"),
        ("channels: [{name: m, kind: email, host: a, from: a@b.c, to: ['a b@c']}]", "to"),
        ("time_zone: Mars/Base", "no time zone"),
        ("quiet_hours: [{from: '22:00'}]", "to"),
        ("quiet_hours: [{from: '22:00', to: '7:00', days: [someday]}]", "days"),
        ("rules: {spend_anomaly: {weeks: 2}}", "weeks"),
        ("rules: {error_rate: {opens_at: 0.1, closes_at: 0.5}}", "closes_at"),
        ("rules: {typo: {}}", "no such field"),
        ("rules: {backlog: {rows: 0}}", "rows"),
        ("rules: {journal_growing: {reports: 0}}", "reports"),
        ("rules: {journal_growing: {after_min: -1}}", "after_min"),
    ],
)
def test_a_fault_is_told_with_the_file_and_without_secrets(
    tmp_path: Path, text: str, told: str
) -> None:
    with pytest.raises(ValueError, match=r"alerts\.yaml") as fault:
        read(tmp_path, text)
    assert told in str(fault.value)
    assert "s3cret" not in str(fault.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        read_alerts(tmp_path / "none.yaml", SECRETS.get)

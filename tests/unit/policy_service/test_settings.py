from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from policy_service.settings import Settings

GOOD = {
    "internal_secret": "internal-0123456789abcdef",
    "ticket_secret": "ticket-0123456789abcdef",
    "admin_token": "admin-0123456789abcdef",
}
SECRETS = sorted(GOOD)


def settings(**fields: Any) -> Settings:
    return Settings(**{**GOOD, "models_file": Path("models.yaml"), **fields})


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"POLICY_{name.upper()}", raising=False)


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize(
    "weak", ["", "short", "x" * 15, "change-me-0123456789", "CHANGEME0123456789", "secret" * 5]
)
def test_a_weak_secret_is_refused_by_a_sentence_that_does_not_show_it(name: str, weak: str) -> None:
    with pytest.raises(ValidationError, match=f"POLICY_{name.upper()} is too weak") as refused:
        settings(**{name: weak})
    told = f"{refused.value!s}{refused.value!r}"
    assert "openssl rand" in told
    for secret in (*GOOD.values(), weak):
        assert not secret or secret not in told


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("internal_secret", "ticket_secret"),
        ("internal_secret", "admin_token"),
        ("ticket_secret", "admin_token"),
    ],
)
def test_no_two_secrets_may_be_the_same(one: str, other: str) -> None:
    """Who holds one would hold the other: a dashboard could decide, a plugin read the ledger."""
    with pytest.raises(ValidationError, match="must differ") as refused:
        settings(**{other: GOOD[one]})
    assert GOOD[one] not in str(refused.value)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"report_webhook_secrets": {"FINANCE": "short"}}, "SECRETS__FINANCE is too weak"),
        (
            {"report_webhook_secrets": {"FINANCE": GOOD["admin_token"]}},
            "SECRETS__FINANCE and POLICY_ADMIN_TOKEN must differ",
        ),
        (
            {"report_webhook_secrets": {"fiance": "webhook-0123456789abcdef"}},
            "there is no POLICY_REPORT_WEBHOOKS__FIANCE",
        ),
    ],
)
def test_a_secret_that_signs_reports_is_as_strong_as_others_and_signs_something(
    fields: dict[str, Any], why: str
) -> None:
    with pytest.raises(ValidationError, match=why) as refused:
        settings(report_webhooks={"finance": "https://hooks.example/x"}, **fields)
    assert GOOD["admin_token"] not in str(refused.value)


def test_the_root_token_can_be_left_out() -> None:
    assert settings(admin_token=None).admin_token is None


def test_half_a_sign_in_is_refused() -> None:
    for name in ("sign_in_issuer", "sign_in_client_id"):
        with pytest.raises(ValidationError, match="go together"):
            settings(**{name: "https://id.test"})


def test_a_missing_setting_is_named_and_nothing_else_is_shown() -> None:
    with pytest.raises(ValidationError) as refused:
        Settings.model_validate(GOOD)
    assert "models_file" in str(refused.value)
    assert "0123456789" not in str(refused.value)


def test_settings_show_no_secret() -> None:
    made = settings(credentials={"openai": "sk-very-secret"})
    assert "0123456789" not in repr(made)
    assert "sk-very-secret" not in repr(made)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GOOD.items():
        monkeypatch.setenv(f"POLICY_{name.upper()}", value)
    monkeypatch.setenv("POLICY_MODELS_FILE", "/etc/models.yaml")
    monkeypatch.setenv("POLICY_LEASE_S", "60")
    monkeypatch.setenv("POLICY_CREDENTIALS__OPENAI", "sk-1")
    monkeypatch.setenv("POLICY_CREDENTIALS__AZURE_OPENAI", "key-2")
    made = Settings()
    assert (made.models_file, made.lease_s) == (Path("/etc/models.yaml"), 60)
    assert made.credential("openai") == "sk-1"
    assert made.credential("azure_openai") == "key-2"


def test_a_credential_may_be_a_file_and_the_environment_wins(tmp_path: Path) -> None:
    (tmp_path / "openai").write_text("sk-file\n", encoding="utf-8")
    (tmp_path / "anthropic").write_text("sk-ant\n", encoding="utf-8")
    (tmp_path / "folder").mkdir()
    made = settings(credentials={"openai": "sk-env"}, credentials_dir=tmp_path)
    assert made.credential("openai") == "sk-env"
    assert made.credential("anthropic") == "sk-ant"
    assert made.credential("folder") is None
    assert made.credential("nowhere") is None
    assert settings().credential("openai") is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"ticket_ttl_s": 0},
        {"ticket_ttl_s": 301},
        {"lease_s": 0},
        {"max_body_bytes": 0},
        {"opa_timeout_s": -1},
        {"idle_timeout_s": 0},
    ],
)
def test_times_and_sizes_have_bounds(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(**wrong)


def test_settings_do_not_change_under_a_running_service() -> None:
    with pytest.raises(ValidationError):
        settings().lease_s = 5  # type: ignore[misc]


def test_every_setting_is_described() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_metrics_are_off_until_somebody_may_scrape_them() -> None:
    assert not settings().has_metrics
    assert settings(metrics_open=True).has_metrics
    assert settings(metrics_token="prometheus-0123456789").has_metrics
    with pytest.raises(ValidationError, match="POLICY_METRICS_TOKEN is too weak"):
        settings(metrics_token="short")
    with pytest.raises(ValidationError, match="must differ"):
        settings(metrics_token=GOOD["admin_token"])


def test_a_collector_is_named_by_our_setting_or_by_opentelemetry_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    assert settings().otlp_endpoint is None
    assert settings(otlp_endpoint="http://by-name:4318").otlp_endpoint == "http://by-name:4318"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://theirs:4318")
    assert settings().otlp_endpoint == "http://theirs:4318"
    monkeypatch.setenv("POLICY_OTLP_ENDPOINT", "http://ours:4318")
    assert settings().otlp_endpoint == "http://ours:4318"

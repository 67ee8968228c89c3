from decimal import Decimal
from pathlib import Path

import pytest

from dashboard.settings import SettingsMissing, load_settings

GOOD = {"DASHBOARD_POLICY_URL": "http://policy:8080/", "DASHBOARD_ADMIN_TOKEN": "secret-token"}


def test_the_environment_is_read():
    settings = load_settings({**GOOD, "DASHBOARD_TIMEOUT_S": "2.5"})
    assert (settings.policy_url, settings.timeout_s) == ("http://policy:8080", 2.5)


def test_the_token_is_not_in_the_representation():
    assert "secret-token" not in repr(load_settings(GOOD))


def test_a_missing_setting_is_named():
    with pytest.raises(SettingsMissing, match="DASHBOARD_POLICY_URL"):
        load_settings({"DASHBOARD_ADMIN_TOKEN": "secret-token"})


def test_without_a_token_and_a_sign_in_everybody_brings_a_token():
    assert load_settings({"DASHBOARD_POLICY_URL": "http://policy:8080/"}).asks_for_token
    assert not load_settings(GOOD).asks_for_token
    assert not load_settings(SIGN_IN).asks_for_token


@pytest.mark.parametrize("timeout", ["soon", "0", "-1", "nan"])
def test_a_timeout_must_be_a_number_above_zero(timeout: str):
    with pytest.raises(SettingsMissing, match="DASHBOARD_TIMEOUT_S"):
        load_settings({**GOOD, "DASHBOARD_TIMEOUT_S": timeout})


# --- sign-in

SIGN_IN = {
    "DASHBOARD_POLICY_URL": "http://policy:8080/",
    "DASHBOARD_OIDC_ISSUER": "https://id.test",
    "DASHBOARD_OIDC_CLIENT_ID": "dashboard",
    "DASHBOARD_OIDC_CLIENT_SECRET": "very-secret",
    "DASHBOARD_PUBLIC_URL": "https://cost.acme.test/",
}


def test_with_sign_in_no_token_is_needed_and_none_is_used():
    settings = load_settings({**SIGN_IN, "DASHBOARD_ADMIN_TOKEN": "root"})
    assert settings.admin_token == ""
    assert settings.sign_in is not None
    assert settings.sign_in.url == "https://cost.acme.test"
    assert load_settings(GOOD).sign_in is None


@pytest.mark.parametrize("name", sorted(set(SIGN_IN) - {"DASHBOARD_OIDC_ISSUER"}))
def test_half_a_sign_in_is_refused_by_name(name: str):
    with pytest.raises(SettingsMissing, match=name):
        load_settings({key: value for key, value in SIGN_IN.items() if key != name})


def test_a_cookie_secret_is_made_where_none_is_given_and_a_weak_one_refused():
    one, other = (load_settings(SIGN_IN).sign_in for _ in range(2))
    assert one is not None
    assert other is not None
    assert one.cookie_secret != other.cookie_secret
    assert len(one.cookie_secret) >= 43
    with pytest.raises(SettingsMissing, match="DASHBOARD_COOKIE_SECRET"):
        load_settings({**SIGN_IN, "DASHBOARD_COOKIE_SECRET": "short"})


def test_no_secret_of_sign_in_is_in_the_representation():
    settings = load_settings({**SIGN_IN, "DASHBOARD_COOKIE_SECRET": "cookie-0123456789"})
    assert "secret" not in repr(settings).replace("secrets_dir", "")
    assert "cookie-01" not in repr(settings)


def test_the_file_of_secrets_lies_where_it_was_told_or_where_the_user_keeps_such():
    for given, expected in (
        ({"DASHBOARD_SECRETS_DIR": "/run/x", "XDG_RUNTIME_DIR": "/run/user/1"}, Path("/run/x")),
        ({"XDG_RUNTIME_DIR": "/run/user/1"}, Path("/run/user/1/gatehouse-dashboard")),
        ({"XDG_STATE_HOME": "/state"}, Path("/state/gatehouse-dashboard")),
        ({}, Path.home() / ".local/state/gatehouse-dashboard"),
    ):
        sign_in = load_settings({**SIGN_IN, **given}).sign_in
        assert sign_in is not None
        assert sign_in.secrets_dir == expected


# --- currency and gateway


def test_a_second_currency_and_the_gateway_are_read():
    more = {
        "DASHBOARD_CURRENCY": "EUR",
        "DASHBOARD_USD_RATE": "0.92",
        "DASHBOARD_GATEWAY_URL": "https://llm.acme.test/",
    }
    settings = load_settings({**GOOD, **more})
    assert (settings.currency, settings.usd_rate) == ("EUR", Decimal("0.92"))
    assert settings.gateway_url == "https://llm.acme.test"
    assert (load_settings(GOOD).currency, load_settings(GOOD).usd_rate) == ("USD", Decimal(1))


@pytest.mark.parametrize("rate", ["", "0", "-1", "NaN", "Infinity", "many"])
def test_another_currency_needs_a_rate_above_zero(rate: str):
    with pytest.raises(SettingsMissing, match="DASHBOARD_USD_RATE"):
        load_settings({**GOOD, "DASHBOARD_CURRENCY": "EUR", "DASHBOARD_USD_RATE": rate})


def test_a_currency_has_three_letters():
    with pytest.raises(SettingsMissing, match="DASHBOARD_CURRENCY"):
        load_settings({**GOOD, "DASHBOARD_CURRENCY": "euro"})

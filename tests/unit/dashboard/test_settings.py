import pytest

from dashboard.settings import SettingsMissing, load_settings

GOOD = {"DASHBOARD_POLICY_URL": "http://policy:8080/", "DASHBOARD_ADMIN_TOKEN": "secret-token"}


def test_the_environment_is_read():
    settings = load_settings({**GOOD, "DASHBOARD_TIMEOUT_S": "2.5"})
    assert (settings.policy_url, settings.timeout_s) == ("http://policy:8080", 2.5)


def test_the_token_is_not_in_the_representation():
    assert "secret-token" not in repr(load_settings(GOOD))


@pytest.mark.parametrize("name", sorted(GOOD))
def test_a_missing_setting_is_named(name: str):
    with pytest.raises(SettingsMissing, match=name):
        load_settings({key: value for key, value in GOOD.items() if key != name})


@pytest.mark.parametrize("timeout", ["soon", "0", "-1", "nan"])
def test_a_timeout_must_be_a_number_above_zero(timeout: str):
    with pytest.raises(SettingsMissing, match="DASHBOARD_TIMEOUT_S"):
        load_settings({**GOOD, "DASHBOARD_TIMEOUT_S": timeout})

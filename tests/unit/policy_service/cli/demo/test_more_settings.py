import pytest
import typer

from policy_service.cli.demo.more_settings import more_settings

OWN = ("POLICY_DATABASE_URL",)


def test_settings_are_taken_as_they_are_said() -> None:
    said = ["POLICY_AUDIT_KEY_FILE=keys/a=b.pem", "POLICY_CONTENT_KEYS__ACME=content_acme"]
    assert more_settings(said, OWN) == {
        "POLICY_AUDIT_KEY_FILE": "keys/a=b.pem",
        "POLICY_CONTENT_KEYS__ACME": "content_acme",
    }


@pytest.mark.parametrize(
    "said", ["POLICY_BUNDLE_KEY=keys", "BUNDLE_KEYS=keys", "POLICY_BUNDLE_KEYS", "=", ""]
)
def test_what_the_service_does_not_know_is_refused(
    said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The service itself would pass over a name that is mistyped."""
    with pytest.raises(typer.Exit):
        more_settings([said], OWN)
    assert "not a setting of the policy service" in capsys.readouterr().err


def test_what_the_demo_sets_itself_stays(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        more_settings(["POLICY_DATABASE_URL=sqlite:///mine.db"], OWN)
    assert "sets this itself" in capsys.readouterr().err

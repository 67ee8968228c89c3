"""Which policy a command is about, and what is said of it."""

from pathlib import Path

import pytest
import typer

from policy_service.adapters.policy_bundle import load_bundle
from policy_service.bundled import bundled
from policy_service.cli.policy import keeping
from policy_service.cli.policy.building import init
from policy_service.cli.policy.sources import find_policy
from policy_service.ports.policies import Standing


@pytest.mark.parametrize("named", ["somewhere/policy", "policy.tar.gz", "/nowhere/policy.tar.gz"])
def test_a_file_that_is_not_there_is_no_bundle_of_a_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(typer.Exit):
        find_policy(named, "sqlite:///gatehouse.db")
    assert f"there is no file {named}" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_shipped_policy_is_copied_and_nothing_is_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "ours" / "rego"
    init(folder)
    assert load_bundle(folder).digest == load_bundle(bundled("rego")).digest
    with pytest.raises(typer.Exit):
        init(folder)
    assert "name another folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("standing", "said"),
    [
        (Standing(), ""),
        (Standing("a"), "live"),
        (Standing("b", "a"), "shadow"),
        (Standing("a", "a"), "live, shadow"),
    ],
)
def test_a_bundle_that_is_live_is_never_told_as_something_less(
    standing: Standing, said: str
) -> None:
    assert keeping._state("a", standing) == said

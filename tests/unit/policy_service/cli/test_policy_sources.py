"""Which policy a command is about."""

from pathlib import Path

import pytest
import typer

from policy_service.cli.policy.sources import find_policy


@pytest.mark.parametrize("named", ["somewhere/policy", "policy.tar.gz", "/nowhere/policy.tar.gz"])
def test_a_file_that_is_not_there_is_no_bundle_of_a_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(typer.Exit):
        find_policy(named, "sqlite:///gatehouse.db")
    assert f"there is no file {named}" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []

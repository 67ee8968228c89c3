from pathlib import Path

import pytest

from policy_service import bundled as module
from policy_service.bundled import bundled


@pytest.mark.parametrize("name", ["rego", "prices", "kong.yaml", "kong.conf"])
def test_what_ships_is_there(name: str) -> None:
    assert bundled(name).exists()


def test_an_installed_copy_wins_over_a_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "policy_service"
    (package / "_bundled").mkdir(parents=True)
    (package / "_bundled" / "kong.conf").write_text("installed")
    (tmp_path / "kong.conf").write_text("checkout")
    (tmp_path / "kong.yaml").write_text("checkout")
    monkeypatch.setattr(module, "_PACKAGE", package)
    assert bundled("kong.conf").read_text() == "installed"
    assert bundled("kong.yaml").read_text() == "checkout"


def test_what_is_missing_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"no-such-file is missing"):
        bundled("no-such-file")

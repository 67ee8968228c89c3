from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from policy_service.cli.sessions import Sessions, default_folder
from policy_service.cli.signing_in import Session

ONE = Session("https://id.test", "cli", "a1", datetime(2026, 11, 20, tzinfo=UTC), "r1")
SERVER = "https://policy.test"


def test_sessions_are_kept_by_server_and_read_back(tmp_path: Path) -> None:
    Sessions(tmp_path / "new").change(SERVER, lambda _: ONE)
    again = Sessions(tmp_path / "new")
    assert again.find(SERVER) == ONE
    assert again.find("https://other.test") is None


def test_nobody_else_may_read_them(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    Sessions(folder).change(SERVER, lambda _: ONE)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "sessions.json").stat().st_mode & 0o777 == 0o600
    (folder / "sessions.json").chmod(0o644)
    with pytest.raises(ValueError, match="others may read"):
        Sessions(folder).find(SERVER)


def test_a_session_is_taken_away(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    sessions.change(SERVER, lambda _: ONE)
    assert sessions.change(SERVER, lambda known: None if known == ONE else ONE) is None
    assert sessions.find(SERVER) is None


def test_a_change_that_fails_leaves_everything_as_it_was(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    sessions.change(SERVER, lambda _: ONE)

    def fail(_: Session | None) -> Session:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        sessions.change(SERVER, fail)
    assert sessions.find(SERVER) == ONE
    assert {path.name for path in tmp_path.iterdir()} == {"sessions.json", "sessions.json.lock"}


def test_changes_at_once_do_not_lose_each_other(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        for done in [
            pool.submit(Sessions(tmp_path).change, f"https://{number}.test", lambda _: ONE)
            for number in range(24)
        ]:
            done.result()
    assert all(Sessions(tmp_path).find(f"https://{number}.test") for number in range(24))


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    file = tmp_path / "sessions.json"
    file.touch(0o600)
    file.write_text("{")
    with pytest.raises(ValueError, match="damaged"):
        Sessions(tmp_path).find(SERVER)


def test_the_folder_is_the_users_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "gatehouse"

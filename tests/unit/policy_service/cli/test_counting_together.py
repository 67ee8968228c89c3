import os
from pathlib import Path

import pytest

from policy_service.adapters.metrics.page import SHARED_FOLDER
from policy_service.cli.counting_together import counting_together


def named() -> str | None:
    return os.environ.get(SHARED_FOLDER)  # noqa: TID251 - what the library looks at


def test_the_processes_of_one_start_count_in_a_folder_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(SHARED_FOLDER, raising=False)
    with counting_together():
        first = Path(named() or "")
        (first / "counter_1.db").write_bytes(b"")
        assert first.stat().st_mode & 0o077 == 0
    assert not first.exists()
    with counting_together():
        assert Path(named() or "") != first
    assert named() is None


def test_an_operator_s_own_folder_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(SHARED_FOLDER, str(tmp_path))
    with counting_together():
        assert named() == str(tmp_path)
    assert tmp_path.exists()

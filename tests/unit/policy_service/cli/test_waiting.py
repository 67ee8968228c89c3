"""What is seen of work that takes a while."""

from io import StringIO

import pytest
from rich.console import Console

from policy_service.cli import waiting


def seen(monkeypatch: pytest.MonkeyPatch, *, looks_on: bool) -> StringIO:
    """What is written where somebody looks on, or into a log."""
    written = StringIO()
    console = Console(file=written, force_terminal=looks_on, force_interactive=looks_on, width=100)
    monkeypatch.setattr(waiting, "errors", console)
    return written


def test_whoever_looks_on_sees_what_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    written = seen(monkeypatch, looks_on=True)
    with waiting.waiting("Closing 2026-11"):
        pass
    assert "Closing 2026-11 ..." in written.getvalue()


def test_whoever_looks_on_sees_how_many_are_done(monkeypatch: pytest.MonkeyPatch) -> None:
    written = seen(monkeypatch, looks_on=True)
    with waiting.counting("Comparing counters", 3) as done:
        for _ in range(3):
            done()
    assert "Comparing counters" in written.getvalue()
    assert "3/3" in written.getvalue()


def test_nothing_of_it_stands_in_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    written = seen(monkeypatch, looks_on=False)
    with waiting.waiting("Closing"), waiting.counting("Comparing", 1) as done:
        done()
    assert written.getvalue() == ""


def test_it_is_gone_when_the_work_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    written = seen(monkeypatch, looks_on=True)
    with pytest.raises(ValueError, match="no"), waiting.waiting("Closing"):
        raise ValueError("no")
    assert written.getvalue().endswith("\x1b[2K"), "the line is wiped before the error is told"

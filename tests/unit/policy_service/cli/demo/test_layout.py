import json
import socket
from dataclasses import asdict
from pathlib import Path

import pytest
import typer

from policy_service.cli.demo.layout import HOST, Folder, Ports, Secrets
from policy_service.settings import Settings


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path / ".demo")
    made.make()
    return made


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def ports(**chosen: int) -> Ports:
    found: set[int] = set()
    while len(found) < 4:
        found.add(free_port())
    names = ("gateway", "policy", "sandbox", "dashboard")
    return Ports(**{**dict(zip(names, found, strict=True)), **chosen})


def test_free_ports_are_fine() -> None:
    ports().require_free()


def test_a_busy_port_is_named_with_how_to_choose_another(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.socket() as busy:
        busy.bind((HOST, 0))
        busy.listen()
        with pytest.raises(typer.Exit):
            ports(policy=busy.getsockname()[1]).require_free()
    told = " ".join(capsys.readouterr().err.split())
    assert "(policy) is in use" in told
    assert "--policy-port N" in told


def test_two_processes_cannot_share_a_port(capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    with pytest.raises(typer.Exit):
        ports(policy=port, gateway=port).require_free()
    assert "are the same" in capsys.readouterr().err


def test_only_the_owner_may_look_into_the_folder(folder: Folder) -> None:
    assert folder.root.stat().st_mode & 0o777 == 0o700
    assert folder.logs.is_dir()
    assert folder.prefix.is_dir()
    folder.make()


def test_the_state_is_kept_and_read(folder: Folder) -> None:
    assert folder.read_state() is None
    folder.write_state({"gateway": "http://127.0.0.1:8000"})
    assert folder.read_state() == {"gateway": "http://127.0.0.1:8000"}
    assert folder.state.stat().st_mode & 0o777 == 0o600
    folder.state.write_text("{")
    assert folder.read_state() is None


def test_secrets_of_a_first_start_are_new_and_strong(folder: Folder) -> None:
    one, other = Secrets.kept(folder), Secrets.kept(folder)
    assert one != other
    Settings(
        internal_secret=one.internal_secret,
        ticket_secret=one.ticket_secret,
        admin_token=one.admin_token,
        models_file=Path("models.yaml"),
    )


def test_secrets_of_the_last_start_are_used_again_as_long_as_its_database_is_there(
    folder: Folder,
) -> None:
    """Keys stand in the database as digests only; without it the kept ones open nothing."""
    made = Secrets(**{**asdict(Secrets.kept(folder)), "keys": {"team": "gk-1"}})
    made.keep(folder)
    assert folder.secrets.stat().st_mode & 0o777 == 0o600
    assert Secrets.kept(folder).keys == {}
    folder.database.touch()
    assert Secrets.kept(folder) == made


def test_a_file_that_was_cut_off_is_as_good_as_none(folder: Folder) -> None:
    folder.database.touch()
    folder.secrets.write_text(json.dumps({"internal_secret": "x"})[:10])
    assert Secrets.kept(folder).keys == {}

from pathlib import Path

import pytest
from typer.testing import CliRunner

from policy_service.cli import app

SETTINGS = {
    "POLICY_INTERNAL_SECRET": "internal-0123456789abcdef",
    "POLICY_TICKET_SECRET": "ticket-0123456789abcdef",
    "POLICY_ADMIN_TOKEN": "admin-0123456789abcdef",
}


@pytest.mark.parametrize(
    ("catalogue", "told"),
    [
        ("models:\n  - alias: m\n    deployments:\n      - {id: d, provider: opnai}\n", "provider"),
        (None, "models.yaml"),
    ],
)
def test_a_faulty_catalogue_is_told_in_a_sentence_and_not_by_a_trace(
    tmp_path: Path, catalogue: str | None, told: str
) -> None:
    file = tmp_path / "models.yaml"
    if catalogue is not None:
        file.write_text(catalogue)
    settings = {
        **SETTINGS,
        "POLICY_MODELS_FILE": str(file),
        "POLICY_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/gatehouse.db",
    }
    done = CliRunner().invoke(app, ["serve", "--port", "9"], env=settings)
    assert done.exit_code == 1
    assert "error:" in done.output
    assert told in done.output
    assert "Traceback" not in done.output

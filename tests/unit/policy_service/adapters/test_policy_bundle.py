import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from policy_service.adapters.policy_bundle import BrokenBundle, load_bundle

REGO = Path(__file__).parents[4] / "rego"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of our bundle, to be broken."""
    return Path(shutil.copytree(REGO, tmp_path / "rego"))


def test_our_own_bundle_has_rules_lists_and_a_revision() -> None:
    bundle = load_bundle(REGO)
    assert "llm/main/main.rego" in bundle.modules
    assert set(bundle.data) == {"llm"}
    assert bundle.data["llm"]["compliance"]["revision"] == bundle.revision
    manifest = json.loads((REGO / ".manifest").read_text(encoding="utf-8"))
    assert bundle.revision == manifest["revision"]


def test_tests_and_schemas_stay_out() -> None:
    bundle = load_bundle(REGO)
    assert not [path for path in bundle.modules if path.endswith("_test.rego")]
    assert "schemas" not in bundle.data


def test_the_digest_follows_rules_and_lists_and_nothing_else(folder: Path) -> None:
    before = load_bundle(folder).digest
    (folder / "README.md").write_text("other words", encoding="utf-8")
    (folder / "llm" / "models" / "models_test.rego").unlink()
    assert load_bundle(folder).digest == before
    rules = folder / "llm" / "models" / "models.rego"
    rules.write_text(rules.read_text(encoding="utf-8") + "\n# a change\n", encoding="utf-8")
    changed = load_bundle(folder).digest
    assert changed != before
    (folder / "llm" / "extra").mkdir()
    (folder / "llm" / "extra" / "data.json").write_text('{"a": 1}', encoding="utf-8")
    assert load_bundle(folder).digest not in {before, changed}


def test_data_files_land_at_their_folders_path(folder: Path) -> None:
    (folder / "llm" / "regions" / "eu").mkdir(parents=True)
    (folder / "llm" / "regions" / "data.json").write_text('{"a": [1]}', encoding="utf-8")
    (folder / "llm" / "regions" / "eu" / "data.yaml").write_text("b: 2\n", encoding="utf-8")
    assert load_bundle(folder).data["llm"]["regions"] == {"a": [1], "eu": {"b": 2}}


def _without_manifest(folder: Path) -> None:
    (folder / ".manifest").unlink()


def _manifest_is_no_json(folder: Path) -> None:
    (folder / ".manifest").write_text("revision: x", encoding="utf-8")


def _without_roots(folder: Path) -> None:
    manifest = json.loads((folder / ".manifest").read_text(encoding="utf-8"))
    (folder / ".manifest").write_text(json.dumps({**manifest, "roots": 1}), encoding="utf-8")


def _other_revision(folder: Path) -> None:
    manifest = json.loads((folder / ".manifest").read_text(encoding="utf-8"))
    (folder / ".manifest").write_text(json.dumps({**manifest, "revision": "x"}), encoding="utf-8")


def _without_entrypoint(folder: Path) -> None:
    shutil.rmtree(folder / "llm" / "main")


def _without_revision(folder: Path) -> None:
    (folder / "llm" / "compliance" / "data.yaml").unlink()


def _revision_is_a_number(folder: Path) -> None:
    (folder / "llm" / "compliance" / "data.yaml").write_text("revision: 1\n", encoding="utf-8")


def _said_twice(folder: Path) -> None:
    (folder / "llm" / "compliance" / "data.json").write_text('{"models": {}}', encoding="utf-8")


def _folder_and_value(folder: Path) -> None:
    (folder / "llm" / "data.yaml").write_text("compliance: 1\n", encoding="utf-8")
    (folder / "llm" / "budgets" / "data.yaml").write_text("x: 1\n", encoding="utf-8")


def _outside_the_roots(folder: Path) -> None:
    (folder / "other").mkdir()
    (folder / "other" / "data.json").write_text('{"a": 1}', encoding="utf-8")


def _ambiguous(folder: Path) -> None:
    (folder / "llm" / "models" / "data.yaml").write_text("countries: [no]\n", encoding="utf-8")


def _not_utf8(folder: Path) -> None:
    (folder / "llm" / "models" / "models.rego").write_bytes(b"package \xff")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_without_manifest, "has no .manifest"),
        (_manifest_is_no_json, ".manifest: "),
        (_without_roots, "names no roots"),
        (_other_revision, "must agree"),
        (_without_entrypoint, "no rules for the entrypoint llm/main/decision"),
        (_without_revision, "names no revision"),
        (_revision_is_a_number, "must be a text"),
        (_said_twice, "models"),
        (_folder_and_value, "compliance"),
        (_outside_the_roots, "outside of the manifest's roots: other"),
        (_ambiguous, "line 1: 'no' has to be quoted"),
        (_not_utf8, "models.rego cannot be read"),
    ],
)
def test_a_broken_bundle_says_what_is_wrong(
    folder: Path, damage: Callable[[Path], None], said: str
) -> None:
    damage(folder)
    with pytest.raises(BrokenBundle) as caught:
        load_bundle(folder)
    assert said in str(caught.value)


def test_a_folder_that_is_not_there_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BrokenBundle, match="no policy bundle"):
        load_bundle(tmp_path / "nowhere")

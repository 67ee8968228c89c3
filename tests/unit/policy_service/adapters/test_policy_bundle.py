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
    assert set(bundle.data) == {"data"}
    assert bundle.data["data"]["revision"] == bundle.revision
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
    (folder / "data" / "extra.yaml").write_text("extra: {a: 1}\n", encoding="utf-8")
    assert load_bundle(folder).digest not in {before, changed}


def test_a_list_lands_at_its_files_name(folder: Path) -> None:
    (folder / "data" / "colours.yaml").write_text("colours: [red]\n", encoding="utf-8")
    assert load_bundle(folder).data["data"]["colours"] == ["red"]


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
    (folder / "data" / "revision.yaml").unlink()


def _revision_is_a_number(folder: Path) -> None:
    (folder / "data" / "revision.yaml").write_text("revision: 1\n", encoding="utf-8")


def _two_keys(folder: Path) -> None:
    text = "# a comment\nextra: 1\nmore: 2\n"
    (folder / "data" / "extra.yaml").write_text(text, encoding="utf-8")


def _another_key(folder: Path) -> None:
    (folder / "data" / "extra.yaml").write_text('\n"other": 1\n', encoding="utf-8")


def _no_key(folder: Path) -> None:
    (folder / "data" / "extra.yaml").write_text("# nothing yet\n", encoding="utf-8")


def _a_list_as_json(folder: Path) -> None:
    (folder / "data" / "extra.json").write_text('{"extra": 1}', encoding="utf-8")


def _a_list_in_a_folder(folder: Path) -> None:
    (folder / "data" / "teams").mkdir()
    (folder / "data" / "teams" / "extra.yaml").write_text("extra: 1\n", encoding="utf-8")


def _among_the_rules(folder: Path) -> None:
    (folder / "llm" / "models" / "data.yaml").write_text("x: 1\n", encoding="utf-8")


def _ambiguous(folder: Path) -> None:
    (folder / "data" / "extra.yaml").write_text("extra: [no]\n", encoding="utf-8")


def _no_network(folder: Path) -> None:
    text = 'networks: {office: ["192.0.2.1/24"]}\n'
    (folder / "data" / "networks.yaml").write_text(text, encoding="utf-8")


def _networks_are_a_list(folder: Path) -> None:
    (folder / "data" / "networks.yaml").write_text("networks: [office]\n", encoding="utf-8")


def _not_utf8(folder: Path) -> None:
    (folder / "llm" / "models" / "models.rego").write_bytes(b"package \xff")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_without_manifest, "has no .manifest"),
        (_manifest_is_no_json, ".manifest: "),
        (_without_roots, "roots must be 'llm' and 'data'"),
        (_other_revision, "must agree"),
        (_without_entrypoint, "no rules for the entrypoint llm/main/decision"),
        (_without_revision, "must name the revision"),
        (_revision_is_a_number, "as a text"),
        (_two_keys, "extra.yaml:3: 'more': the one key here must be 'extra'"),
        (_another_key, "extra.yaml:2: 'other'"),
        (_no_key, "extra.yaml:1: there has to be one key, 'extra'"),
        (_a_list_as_json, "data/<list>.yaml"),
        (_a_list_in_a_folder, "data/<list>.yaml"),
        (_among_the_rules, "no data lie elsewhere"),
        (_ambiguous, "line 1: 'no' has to be quoted"),
        (_no_network, "networks.yaml: '192.0.2.1/24' is no CIDR range"),
        (_networks_are_a_list, "networks.yaml"),
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

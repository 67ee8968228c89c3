"""Compliance's lists are checked whole, before they decide anything."""

import copy
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from policy_service.adapters.policies.lists import require_readable
from policy_service.adapters.policy_bundle import BrokenBundle, load_bundle
from policy_service.adapters.policy_lists import faults_of

REGO = Path(__file__).parents[4] / "rego"
LISTS = load_bundle(REGO).data["data"]


def said(name: str, place: tuple[str, ...], value: Any) -> str:
    """The faults of a shipped list in which something else stands at a place."""
    content = copy.deepcopy(LISTS[name])
    part = content
    for step in place[:-1]:
        part = part[step]
    part[place[-1]] = value
    return "; ".join(
        f"{'.'.join(map(str, where))}: {told}" for where, told in faults_of(name, content)
    )


def test_the_shipped_lists_are_sound() -> None:
    assert {name: faults_of(name, content) for name, content in LISTS.items()} == dict.fromkeys(
        LISTS, ()
    )


def test_a_list_of_compliances_own_may_hold_anything() -> None:
    assert faults_of("suppliers", {"anything": [1, None]}) == ()


PII = {"input": "off", "output": "off", "restore": False, "kinds": []}


@pytest.mark.parametrize(
    ("name", "place", "value", "told"),
    [
        ("models", ("restricted", "gpt"), {"role": ["x"]}, "restricted.gpt.role: there is no such"),
        ("models", ("restricted",), [], "restricted"),
        ("budgets", ("soft", "used_fraction"), "0.9", "used_fraction"),
        ("budgets", ("soft", "max_usd_per_million_output"), -1, "max_usd_per_million_output"),
        ("places", ("defaults",), {}, "defaults: there is no such field"),
        ("places", ("default", "tools"), "yes", "default.tools"),
        ("places", ("default", "max_output_tokens"), 0, "default.max_output_tokens"),
        ("places", ("default", "max_output_tokens"), 1.5, "default.max_output_tokens"),
        ("places", ("default", "cache"), {"seconds": 60}, "default.cache.scope: Field required"),
        ("places", ("default", "cache"), {"seconds": 2678401, "scope": "team"}, "cache.seconds"),
        ("places", ("default", "cache"), {"seconds": 1, "scope": "everybody"}, "cache.scope"),
        ("places", ("teams", "hr"), {"tool": False}, "teams.hr.tool: there is no such field"),
        ("places", ("teams", "hr"), {"pii": {**PII, "input": "encrypt"}}, "teams.hr.pii.input"),
        ("places", ("teams", "hr"), {"pii": {**PII, "restore": 1}}, "teams.hr.pii.restore"),
        ("places", ("teams", "hr"), {"guard": None}, "teams.hr.guard"),
        ("places", ("teams", "hr"), {"log": {"level": "all", "keep_days": 1}}, "log.level"),
        ("places", ("teams", "hr"), {"log": {"level": "full", "keep_days": -1}}, "log.keep_days"),
        ("places", ("teams", "hr"), {"hours": []}, "teams.hr.hours"),
        (
            "places",
            ("teams", "hr"),
            {"hours": [{"days": ["friday"], "from_hour": 22, "until_hour": 6}]},
            "over midnight takes two windows",
        ),
        (
            "places",
            ("teams", "hr"),
            {"hours": [{"days": ["fri"], "from_hour": 8, "until_hour": 9}]},
            "hours.0.days.0",
        ),
        ("places", ("teams", "hr"), {"sources": []}, "teams.hr.sources"),
        ("places", ("reading", "log"), "loosen", "reading.log"),
        ("data_classes", ("labels",), {"personal": "secret"}, "secret: no class of the order"),
        ("data_classes", ("unlabelled",), "secret", "secret: no class of the order"),
        ("data_classes", ("clearance_from",), "secret", "secret: no class of the order"),
        ("residency", ("classes", "public"), "*", "classes.public"),
        ("agreements", ("classes",), {"restricted": ["gdrp"]}, "gdrp: no preset"),
        ("agreements", ("presets", "gdpr", "training"), "maybe", "presets.gdpr.training"),
        ("agreements", ("presets", "gdpr", "retention_days"), "30", "presets.gdpr.retention_days"),
        ("use_cases", ("known",), {"triage": {"team": []}}, "known.triage.team: there is no such"),
        ("use_cases", ("only_known",), None, "only_known"),
        ("approvals", ("models",), ["o1-pro"], "models"),
        ("approvals", ("above_usd",), "5", "above_usd"),
    ],
)
def test_what_a_list_may_not_say_is_named(
    name: str, place: tuple[str, ...], value: Any, told: str
) -> None:
    assert told in said(name, place, value)


@pytest.mark.parametrize("setting", sorted(LISTS["places"]["default"]))
def test_the_default_says_everything_and_a_place_may_say_anything(setting: str) -> None:
    default = {name: value for name, value in LISTS["places"]["default"].items() if name != setting}
    assert f"default.{setting}: Field required" in said("places", ("default",), default)
    value = LISTS["places"]["default"][setting]
    assert said("places", ("teams", "hr"), {setting: value}) == ""


def test_a_fault_has_its_file_and_line(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(REGO, tmp_path / "rego"))
    text = "models:\n  restricted:\n    gpt-4o:\n      roles: [x]\n      departmnets: [hr]\n"
    (folder / "data" / "models.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(BrokenBundle) as caught:
        load_bundle(folder)
    assert str(caught.value) == (
        f"{folder}/data/models.yaml:5: models.restricted.gpt-4o.departmnets: "
        "there is no such field here"
    )


def test_a_guard_that_is_nowhere_is_refused_with_its_file_and_line(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(REGO, tmp_path / "rego"))
    file = folder / "data" / "places.yaml"
    text = file.read_text(encoding="utf-8")
    text = text.replace(
        "  teams: {}", "  teams:\n    desk: {guard: strict}\n    hr: {guard: strct}"
    )
    file.write_text(text, encoding="utf-8")
    line = text[: text.index("strct")].count("\n") + 1
    with pytest.raises(BrokenBundle) as caught:
        load_bundle(folder)
    assert str(caught.value) == (
        f"{file}:{line}: places.teams.hr.guard: strct: no guard of content.yaml, which has "
        "standard, strict"
    )


@pytest.mark.parametrize("content", [{}, {"guards": {}}, {"guards": {"other": {}}}])
def test_a_bundles_guards_have_to_be_somewhere_too(content: dict[str, Any]) -> None:
    places = copy.deepcopy(LISTS["places"])
    places["default"]["guard"] = "standard"
    bundle = load_bundle(REGO)
    lists = {**LISTS, "places": places, "content": content}
    with pytest.raises(BrokenBundle, match=r"data/places.yaml: places.default.guard: standard: no"):
        require_readable(replace(bundle, data={"data": lists}))
    require_readable(bundle)

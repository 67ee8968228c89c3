"""Any YAML where `kong.yaml` or a file of ours is read: read, or refused with a sentence."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from devkong.declarative import parse_declaration
from devkong.errors import ConfigError
from policy_service.adapters.alerts_file import read_alerts
from policy_service.adapters.catalogue_file import read_catalogue
from policy_service.adapters.sql.company import read_company
from policy_service.adapters.yaml_file import InvalidFile
from policy_service.cli.doctor.findings import State
from policy_service.cli.doctor.kong import yaml_findings
from policy_service.cli.kong import wanted
from policy_service.settings import Settings
from tests.fixtures.fuzzing import fuzzed, fuzzed_less, json_values

ROOT = Path(__file__).parents[2]
SHIPPED = yaml.safe_load((ROOT / "kong.yaml").read_text(encoding="utf-8"))
odd: st.SearchStrategy[Any] = json_values | st.sampled_from(
    ["http://[", "http://h:99999", "http://h:x", "~(", "~" + "(" * 2000, "/a", 10**30, "https://"]
)
texts = st.text(st.characters(codec="utf-8"), max_size=60) | st.lists(
    st.sampled_from(["a", ": ", "- ", "\n", "  ", "{", "}", "[", "]", "&x ", "*x", "!!", "? "])
    | st.sampled_from(["!!python/object:os.system", "<<: ", "|", "'", '"', "2026-13-45", "0x"]),
    max_size=25,
).map("".join)
BROKEN = (
    "[" * 700,
    "{a: " * 700,
    "- " * 700,
    "a: &a [*a]",
    "&a [*a, *a]",
    "? [a]\n: 1",
    "2026-13-45: 1",
    "a: 2026-13-45",
    "a: 2026-01-01T99:99:99Z",
    "a: !!int x",
    "a: !!float x",
    "a: 1_e",
    "a: 1.e+_",
    "!!binary é",
    "a: !!timestamp x",
    "a: !!bool x",
    "a: !!set [b]",
    "a: 190:20:30",
    "\x00",
    "a: 0b_",
    "a: 0x_",
    "a: &x {b: *x}",
)
# Each of a million laughs is the same object: what is read once is looked at once.
LAUGHS = "_format_version: '3.0'\n_info: &a0 [x, x]\n" + "".join(
    f"services{number}: &a{number + 1} [{', '.join([f'*a{number}'] * 10)}]\n" for number in range(9)
)


@st.composite
def changed(draw: st.DrawFn, source: Any) -> Any:
    """A document in which a few members are something else, or missing."""
    document = yaml.safe_load(yaml.safe_dump(source))
    for _ in range(draw(st.integers(1, 3))):
        owner = document
        while True:
            names = list(owner) if isinstance(owner, dict) else list(range(len(owner)))
            if not names:
                break
            name = draw(st.sampled_from(names))
            inner = owner[name]
            if isinstance(inner, dict | list) and inner and draw(st.integers(0, 4)):
                owner = inner
                continue
            if draw(st.booleans()):
                owner[name] = draw(odd)
            else:
                del owner[name]
            break
    return document


def declared(text: str) -> None:
    with suppress(ConfigError):
        parse_declaration(text)


@fuzzed_less
@given(document=changed(SHIPPED))
def test_a_kong_yaml_with_anything_in_it_is_read_or_refused(document: Any):
    declared(yaml.safe_dump(document))


@fuzzed
@given(text=texts)
def test_any_text_is_a_kong_yaml_or_refused(text: str):
    declared(text)
    declared(f"_format_version: '3.0'\nservices: {text}")


@pytest.mark.parametrize("text", BROKEN, ids=range(len(BROKEN)))
def test_a_broken_kong_yaml_is_refused(text: str):
    with pytest.raises(ConfigError):
        parse_declaration(text)


def test_aliases_of_aliases_take_no_time():
    with pytest.raises(ConfigError, match="services0"):
        parse_declaration(LAUGHS)


CATALOGUE = {
    "models": [
        {
            "alias": "m",
            "deployments": [
                {"id": "d", "provider": "openai", "model": "x", "credential": "c", "region": "eu"}
            ],
        }
    ],
    "providers": {"t": {"agreements": {"dpa": {"since": "2026-01-01", "reference": "r"}}}},
}
COMPANY = {
    "id": "acme",
    "allowed_models": ["*"],
    "departments": [
        {"id": "d", "teams": [{"id": "t", "limits": {"usd_per_month": 1}, "keys": [{"name": "k"}]}]}
    ],
}
ALERTS = {
    "quiet_hours": [{"from": "20:00", "to": "07:00"}],
    "channels": [{"name": "o", "kind": "webhook", "url": "https://x.example", "secret": "s"}],
    "rules": {"again_after_h": 24, "spend_anomaly": {"floor_usd": 50}},
}
SETTINGS = Settings(
    internal_secret="internal-0123456789abcdef",
    ticket_secret="ticket-0123456789abcdef",
    admin_token="admin-0123456789abcdef",
    models_file=ROOT / "models.yaml",
)


def enabled(path: Path) -> None:
    """As `gatehouse kong enable` and `declare` read it, down to what is sent and printed."""
    document = wanted.declared(path, wanted.Choices(routes=("/v1/models",)))
    yaml.safe_dump(document)
    for one in wanted.entities(document):
        json.dumps(one.fields, allow_nan=False, ensure_ascii=False).encode()


def looked_at(path: Path) -> None:
    """As `gatehouse doctor` reads it: a fault is a finding, and says what to do."""
    faults = [one for one in yaml_findings(path, SETTINGS) if one.state == State.BROKEN]
    assert all(one.remedy for one in faults)
    if faults:
        raise InvalidFile(faults[0].what)


READERS: dict[str, Callable[[Path], object]] = {
    "catalogue": read_catalogue,
    "company": read_company,
    "alerts": lambda path: read_alerts(path, {"s": "secret-0123456789abcdef"}.get),
    "kong enable": enabled,
    "doctor": looked_at,
}
SOURCES = {
    "catalogue": CATALOGUE,
    "company": COMPANY,
    "alerts": ALERTS,
    "kong enable": SHIPPED,
    "doctor": SHIPPED,
}
REFUSALS = (InvalidFile, wanted.Unusable)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files") / "file.yaml"


def read(name: str, path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    with suppress(*REFUSALS):
        READERS[name](path)


@pytest.mark.parametrize("name", READERS)
@fuzzed_less
@given(data=st.data())
def test_a_file_of_ours_with_anything_in_it_is_read_or_refused(
    name: str, path: Path, data: st.DataObject
):
    read(name, path, yaml.safe_dump(data.draw(changed(SOURCES[name]))))


@pytest.mark.parametrize("name", READERS)
@fuzzed_less
@given(text=texts)
@example(text="a: 2026-13-45")
def test_any_text_is_a_file_of_ours_or_refused(name: str, path: Path, text: str):
    read(name, path, text)


@pytest.mark.parametrize("text", BROKEN, ids=range(len(BROKEN)))
@pytest.mark.parametrize("name", READERS)
def test_a_broken_file_of_ours_is_refused(name: str, path: Path, text: str):
    path.write_text(text, encoding="utf-8")
    with pytest.raises(REFUSALS):
        READERS[name](path)

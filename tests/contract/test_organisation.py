"""The page on the organisation: its file can be applied, and it names every field there is."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from policy_service.adapters.sql import schema
from policy_service.adapters.sql.company import Company, CompanyStore, read_company
from policy_service.adapters.sql.company import file as company_file
from policy_service.adapters.sql.engine import open_engine

PAGE = (Path(__file__).parents[2] / "docs" / "organisation.md").read_text(encoding="utf-8")


def between(name: str) -> str:
    found = re.search(rf"<!-- {name}: begin -->\n(.*?)<!-- {name}: end -->", PAGE, re.DOTALL)
    assert found
    return found[1]


def example(folder: Path) -> Path:
    file = folder / "company.yaml"
    file.write_text(between("company").removeprefix("```yaml\n").removesuffix("```\n"), "utf-8")
    return file


async def test_the_example_is_applied_as_it_stands_and_comes_back(tmp_path: Path) -> None:
    company = read_company(example(tmp_path))
    url = f"sqlite+aiosqlite:///{tmp_path}/gatehouse.db"
    await schema.migrate(url)
    engine = open_engine(url)
    try:
        store = CompanyStore(engine)
        applied = await store.apply_company(company)
        assert set(applied.keys or {}) == {"alice-laptop", "ranker-nightly"}
        again = Company.model_validate(await store.export("acme"))
        assert not (await store.apply_company(again, prune=True)).changes
    finally:
        await engine.dispose()


def test_the_example_shows_every_field_of_the_file(tmp_path: Path) -> None:
    shown = set(_fields(yaml.safe_load(example(tmp_path).read_text("utf-8"))))
    # `on` is a truth value to the YAML that this test reads with, and `custom_id` is Kong's.
    assert _every_field() <= shown | {"on", "custom_id"}


def test_the_table_names_every_field_of_the_file() -> None:
    spans = re.findall(r"`([^`]+)`", between("fields"))
    assert _every_field() <= {name for span in spans for name in re.findall(r"\w+", span)}


def _every_field() -> set[str]:
    plans = [
        one
        for one in vars(company_file).values()
        if isinstance(one, type) and issubclass(one, BaseModel)
    ]
    return {name for plan in plans for name in plan.model_fields}


def _fields(part: Any) -> Iterator[str]:
    match part:
        case dict():
            for name, inner in part.items():
                yield str(name)
                yield from _fields(inner)
        case list():
            for inner in part:
                yield from _fields(inner)
        case _:
            pass

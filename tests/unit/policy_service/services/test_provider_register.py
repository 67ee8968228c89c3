import csv
import io
import re
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from llm_core.catalogue import Agreement, Catalogue, DataProcessing, Model
from policy_service.ports.compliance import UsedDeployment
from policy_service.services.provider_register import Period, RegisterEntry, register_of
from policy_service.services.register_pages import as_csv, as_html
from tests.fakes.samples import AZURE, OPENAI

NOVEMBER = Period(date(2026, 11, 1), date(2026, 11, 30))
CLASSES = {"personal": "confidential", "public": "public"}
USED = UsedDeployment(
    deployment_id="azure-mini",
    provider="azure_openai",
    region="eu",
    model="mini",
    requests=3,
    input_tokens=30,
    output_tokens=9,
    usd=Decimal("0.000048"),
    labels=("personal", "public"),
)


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def entry_for(
    agreement: Agreement | None = None,
    used: UsedDeployment = USED,
    processing: DataProcessing = DataProcessing(),  # noqa: B008 - frozen
) -> RegisterEntry:
    agreed = {} if agreement is None else {"dpa": agreement}
    deployment = replace(AZURE, agreements=agreed, data_processing=processing)
    catalogue = Catalogue([Model("mini", (deployment,)), Model("other", (OPENAI,))])
    [entry] = register_of([used], catalogue, NOVEMBER, CLASSES)
    return entry


@pytest.mark.parametrize(
    ("since", "until", "status"),
    [
        ("2026-01-01", None, "valid throughout"),
        ("2026-11-01", "2026-12-01", "valid throughout"),
        ("2026-11-02", None, "from 2026-11-02"),
        ("2026-01-01", "2026-11-30", "lapsed on 2026-11-30"),
        ("2026-11-05", "2026-11-20", "from 2026-11-05, lapsed on 2026-11-20"),
        ("2026-01-01", "2026-11-01", "lapsed on 2026-11-01"),
        ("2026-12-01", None, "not before 2026-12-01"),
    ],
)
def test_an_agreement_is_held_against_the_whole_period(
    since: str, until: str | None, status: str
) -> None:
    agreement = Agreement(day(since), None if until is None else day(until))
    assert entry_for(agreement).agreements == {"dpa": status, "baa": "none"}
    referenced = replace(agreement, reference="CT-1")
    assert entry_for(referenced).agreements["dpa"] == f"{status} (CT-1)"


def test_labels_become_the_classes_of_data() -> None:
    assert entry_for().classes == ("confidential", "public")
    assert entry_for(used=replace(USED, labels=("odd",))).classes == ("not known",)
    assert entry_for(used=replace(USED, labels=())).classes == ()


def test_a_deployment_that_left_the_models_file_is_still_in_the_register() -> None:
    gone = entry_for(used=replace(USED, deployment_id="gone"))
    assert not gone.is_listed
    assert gone.agreements == {"dpa": "none", "baa": "none"}
    assert "no longer in the models file" in as_csv([gone])


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_the_table_has_everything_an_auditor_asks_for() -> None:
    processing = DataProcessing(30, trains_on_data=False, sub_processors=("aws", "gcp"))
    [row] = rows(as_csv([entry_for(Agreement(day("2026-01-01")), processing=processing)]))
    assert row == {
        "Provider": "azure_openai",
        "Deployment": "azure-mini",
        "Model": "mini",
        "Region": "eu",
        "Requests": "3",
        "Input tokens": "30",
        "Output tokens": "9",
        "USD": "0.000048",
        "DPA": "valid throughout",
        "BAA": "none",
        "Other agreements": "",
        "Retention": "30 days",
        "Trains on data": "no",
        "Sub-processors": "aws, gcp",
        "Data labels": "personal, public",
        "Data classes": "confidential, public",
        "Remarks": "",
    }


def test_what_nobody_said_is_said_to_be_unknown() -> None:
    [row] = rows(as_csv([entry_for(used=replace(USED, labels=()))]))
    unknown = {row["Retention"], row["Trains on data"], row["Sub-processors"]}
    assert unknown == {"not known"}
    assert row["Data labels"] == row["Data classes"] == "unlabelled only"


def test_no_cell_becomes_a_formula_and_no_text_becomes_markup() -> None:
    used = replace(USED, model="=cmd()", region="<script>alert(1)</script>&")
    entry = entry_for(used=used)
    [row] = rows(as_csv([entry]))
    assert row["Model"] == "'=cmd()"
    page = as_html([entry], NOVEMBER, revision="<b>", made_at=day("2026-12-01"))
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&amp;" in page
    assert "&lt;b&gt;" in page


def test_the_page_needs_nothing_from_elsewhere() -> None:
    page = as_html([entry_for()], NOVEMBER, revision="r1", made_at=day("2026-12-01"))
    assert not re.search(r"https?:|src=|<link|@import|url\(", page)
    assert "2026-11-01 to 2026-11-30" in page
    assert "@media print" in page


def test_an_empty_register_says_so() -> None:
    page = as_html([], NOVEMBER, revision="r1", made_at=day("2026-12-01"))
    assert "No deployment was called in this time." in page
    assert rows(as_csv([])) == []

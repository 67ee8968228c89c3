import pytest

from llm_core.errors import MalformedRequest
from llm_core.policy.limits import Priority
from llm_core.policy.request_facts import facts_in


@pytest.mark.parametrize(
    ("lines", "reads", "fills"),
    [
        ([], True, True),
        ([""], True, True),
        (["no-transform, max-age=60"], True, True),
        (["no-cache"], False, True),
        (["max-age=0"], False, True),
        (["no-store"], True, False),
        (["No-Cache , NO-STORE"], False, False),
        (["no-cache", "no-store"], False, False),
        (["x-no-cache", "no-cacheable"], True, True),
    ],
)
def test_cache_control_says_what_may_be_read_and_kept(
    lines: list[str], reads: bool, fills: bool
) -> None:
    facts = facts_in({"cache-control": lines})
    assert (facts.reads_cache, facts.fills_cache) == (reads, fills)


def test_without_the_header_the_cache_is_as_the_route_has_it() -> None:
    facts = facts_in({"authorization": ["Bearer x"]})
    assert facts.reads_cache
    assert facts.fills_cache


def test_what_a_call_is_for_is_read_from_its_headers() -> None:
    facts = facts_in(
        {
            "x-gatehouse-priority": ["batch"],
            "x-gatehouse-use-case": ["Nightly summaries"],
            "x-gatehouse-data-labels": ["pii, internal", "pii,,eu-only"],
        }
    )
    assert facts.priority is Priority.BATCH
    assert facts.use_case == "Nightly summaries"
    assert facts.data_labels == ("pii", "internal", "eu-only")


def test_without_them_a_call_is_interactive_and_for_nothing_in_particular() -> None:
    facts = facts_in({"x-gatehouse-use-case": [" "], "x-gatehouse-data-labels": [""]})
    assert (facts.priority, facts.use_case, facts.data_labels) == (Priority.INTERACTIVE, None, ())


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("x-gatehouse-priority", ["urgent"]),
        ("x-gatehouse-priority", ["BATCH"]),
        ("x-gatehouse-priority", ["batch", "batch"]),
        ("x-gatehouse-use-case", ["x" * 65]),
        ("x-gatehouse-use-case", ["a\tb"]),
        ("x-gatehouse-use-case", ["<b>"]),
        ("x-gatehouse-use-case", ["a", "b"]),
        ("x-gatehouse-data-labels", ["PII"]),
        ("x-gatehouse-data-labels", ["two words"]),
        ("x-gatehouse-data-labels", ["x" * 41]),
        ("x-gatehouse-data-labels", [",".join(f"l{n}" for n in range(21))]),
    ],
)
def test_a_header_of_ours_that_makes_no_sense_is_refused(name: str, values: list[str]) -> None:
    with pytest.raises(MalformedRequest, match=name):
        facts_in({name: values})


TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    ("lines", "read"),
    [
        ([TRACEPARENT], TRACEPARENT),
        ([], None),
        ([""], None),
        (["words of a caller"], None),
        ([TRACEPARENT + "\r\nx: y"], None),
        ([TRACEPARENT, TRACEPARENT], None),
    ],
)
def test_a_trace_that_is_well_formed_goes_along_and_any_other_is_none(
    lines: list[str], read: str | None
) -> None:
    assert facts_in({"traceparent": lines}).traceparent == read

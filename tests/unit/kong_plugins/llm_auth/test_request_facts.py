import pytest

from kong_plugins.llm_auth.request_facts import facts_in


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

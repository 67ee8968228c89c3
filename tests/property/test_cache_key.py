"""No two callers share an answer whom policy does not let share, and no two questions one key."""

from dataclasses import replace
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from llm_core.operation import Operation
from llm_core.policy.cache_key import cache_key, question_digest
from llm_core.policy.call import Call
from llm_core.policy.caller import Caller, ProofOfIdentity
from llm_core.policy.decision import CacheScope, Obligations
from tests.fakes.samples import AZURE, CLAUDE, OPENAI

# Few names, so that they meet: a team and a department called alike are the interesting case.
_NAMES = st.sampled_from(["a", "b", "ab", "", "a:b", '","'])
_MAYBE = st.none() | _NAMES
_CALLERS = st.builds(
    Caller,
    organisation=_NAMES,
    department=_NAMES,
    team=_NAMES,
    proof=st.just(ProofOfIdentity.API_KEY),
    project=_MAYBE,
    user=_MAYBE,
    application=_MAYBE,
    key_id=_MAYBE,
)
_CALL = Call(Operation.CHAT_COMPLETIONS, "mini", question_digest="ab" * 32)
_TENANT = ("organisation", "department", "team")
_PLACES = {
    CacheScope.ORGANISATION: ("organisation",),
    CacheScope.DEPARTMENT: ("organisation", "department"),
    CacheScope.TEAM: _TENANT,
    CacheScope.PROJECT: (*_TENANT, "project"),
    CacheScope.USER: (*_TENANT, "project", "user", "application"),
}


def key(caller: Caller, scope: CacheScope = CacheScope.TEAM) -> str:
    return cache_key(_CALL, caller, [OPENAI], Obligations(cache_scope=scope), "r1")


def places(caller: Caller, scope: CacheScope) -> tuple[str | None, ...]:
    return tuple(getattr(caller, name) for name in _PLACES[scope])


@given(_CALLERS, _CALLERS, st.sampled_from(CacheScope))
def test_callers_share_a_key_exactly_as_far_as_policy_says(
    one: Caller, other: Caller, scope: CacheScope
) -> None:
    shares = key(one, scope) == key(other, scope)
    same = places(one, scope) == places(other, scope)
    if scope is CacheScope.USER and one.user is None:
        same = same and one.key_id == other.key_id
    assert shares == same


@given(_CALLERS, _CALLERS)
def test_tenants_never_share_a_key_unless_policy_says_so(one: Caller, other: Caller) -> None:
    if places(one, CacheScope.TEAM) != places(other, CacheScope.TEAM):
        for scope in (CacheScope.TEAM, CacheScope.PROJECT, CacheScope.USER):
            assert key(one, scope) != key(other, scope)


@given(_CALLERS, _CALLERS, st.sampled_from(CacheScope), st.sampled_from(CacheScope))
def test_organisations_never_share_a_key(
    one: Caller, other: Caller, scope: CacheScope, other_scope: CacheScope
) -> None:
    if one.organisation != other.organisation:
        assert key(one, scope) != key(other, other_scope)


@given(_CALLERS, st.permutations([OPENAI, AZURE, CLAUDE]))
def test_the_order_of_deployments_does_not_matter(caller: Caller, order: list) -> None:  # type: ignore[type-arg]
    assert cache_key(_CALL, caller, order, Obligations(), "r1") == cache_key(
        _CALL, caller, [OPENAI, AZURE, CLAUDE], Obligations(), "r1"
    )


@given(_CALLERS)
def test_everything_that_could_make_another_answer_makes_another_key(caller: Caller) -> None:
    keys = {
        cache_key(call, caller, deployments, obligations, revision)
        for call, deployments, obligations, revision in [
            (_CALL, [OPENAI], Obligations(), "r1"),
            (_CALL, [OPENAI], Obligations(), "r2"),
            (_CALL, [OPENAI], Obligations(max_output_tokens=10), "r1"),
            (_CALL, [AZURE], Obligations(), "r1"),
            (_CALL, [OPENAI, AZURE], Obligations(), "r1"),
            (_CALL, [replace(OPENAI, model="gpt-4o")], Obligations(), "r1"),
            (replace(_CALL, operation=Operation.MESSAGES), [OPENAI], Obligations(), "r1"),
            (replace(_CALL, question_digest="cd" * 32), [OPENAI], Obligations(), "r1"),
            (replace(_CALL, data_labels=("secret",)), [OPENAI], Obligations(), "r1"),
        ]
    }
    assert len(keys) == 9


@given(_CALLERS, st.integers(1, 1000))
def test_how_long_an_answer_is_kept_makes_no_other_key(caller: Caller, seconds: int) -> None:
    assert cache_key(
        _CALL, caller, [OPENAI], Obligations(cache_seconds=seconds), "r1"
    ) == cache_key(_CALL, caller, [OPENAI], Obligations(), "r1")


@given(st.dictionaries(st.sampled_from(["stream", "stream_options", "model", "n"]), st.integers()))
def test_how_an_answer_travels_is_no_part_of_the_question(fields: dict[str, int]) -> None:
    asked = {name: value for name, value in fields.items() if not name.startswith("stream")}
    digest = "00" * 32
    plain = question_digest(Operation.CHAT_COMPLETIONS, {**asked, "stream": 1}, digest)
    assert plain == question_digest(Operation.CHAT_COMPLETIONS, {**fields, "stream": 2}, digest)
    for order in permutations([("stream", 1), *asked.items()]):
        assert plain == question_digest(Operation.CHAT_COMPLETIONS, dict(order), digest)

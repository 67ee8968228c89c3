"""What would have to be otherwise for a denied call to be allowed.

Nothing is derived from the rules: questions that differ from the asked one in a single fact are
asked, and those that come back allowed are named. So what is named is true, and what is not named
may still exist. The facts to try come from the question itself and from compliance's lists.
"""

import copy
import itertools
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from policy_service.ports.policy import PolicyResult

MOST_TRIED = 3000
_MOST_PAIRED = 40
_HOUR_S = 3600
_APPROVAL = "what-if"
_KEYS_OF_LISTS: Mapping[str, re.Pattern[str]] = {
    "roles": re.compile(r"roles?$"),
    "groups": re.compile(r"groups?$"),
    "department": re.compile(r"departments?$"),
    "team": re.compile(r"teams?$"),
    "clearance": re.compile(r"clearances?|levels?|classes"),
    "use_case": re.compile(r"use_cases?$"),
    "region": re.compile(r"regions?"),
}
"""What the keys are called under which compliance's lists name such things."""

_Path = tuple[str | int, ...]
Ask = Callable[[dict[str, Any]], Awaitable[PolicyResult]]


@dataclass(frozen=True, slots=True)
class FactChange:
    """One fact that is otherwise.

    Args:
        said: In words.
        path: Where in the input.
        value: What stands there then.
    """

    said: str
    path: _Path
    value: Any

    def made_in(self, document: dict[str, Any]) -> dict[str, Any]:
        """A document in which it is so."""
        changed = copy.deepcopy(document)
        node: Any = changed
        for step in self.path[:-1]:
            if isinstance(step, str) and not node.get(step):
                node[step] = {}
            node = node[step]
        node[self.path[-1]] = copy.deepcopy(self.value)
        return changed


async def smallest_changes(
    ask: Ask, document: dict[str, Any], lists: Mapping[str, Any]
) -> tuple[tuple[FactChange, ...], ...]:
    """The changes that turn "denied" into "allowed": single ones, else pairs, else none.

    Args:
        ask: Asks the policy.
        document: Was denied.
        lists: Compliance's lists.

    Raises:
        PolicyUnavailable: The engine fails.
    """
    before = len((await ask(document)).reasons)
    flips: list[tuple[FactChange, ...]] = []
    helpful: list[FactChange] = []
    for change in itertools.islice(candidate_changes(document, lists), MOST_TRIED):
        result = await ask(change.made_in(document))
        if result.allow:
            flips.append((change,))
        elif len(result.reasons) < before:
            helpful.append(change)
    if flips:
        return tuple(flips)
    for one, other in itertools.combinations(helpful[:_MOST_PAIRED], 2):
        both = other.made_in(one.made_in(document))
        if one.path != other.path and (await ask(both)).allow:
            flips.append((one, other))
    return tuple(flips)


def candidate_changes(document: dict[str, Any], lists: Mapping[str, Any]) -> Iterator[FactChange]:
    """Questions that differ in one fact, the likeliest first."""
    named = _named_in(lists)
    yield from _of_the_call(document, named)
    yield from _of_the_caller(document, named)
    yield from _of_candidates(document, named)
    yield from _of_budgets(document)


def _of_the_call(document: dict[str, Any], named: Mapping[str, list[str]]) -> Iterator[FactChange]:
    call = _part(document, "call")
    for model in _texts(_part(document, "caller").get("allowed_models")):
        if model not in ("*", call.get("asked_model")):
            yield FactChange(f"ask for the model {model}", ("call", "asked_model"), model)
    labels = _texts(call.get("data_labels"))
    for label in labels:
        rest = [other for other in labels if other != label]
        yield FactChange(f"without the data label {label}", ("call", "data_labels"), rest)
    for fact, said in (("has_tools", "without tools"), ("has_images", "without images")):
        if call.get(fact):
            yield FactChange(said, ("call", fact), False)
    for case in named["use_case"]:
        if case != call.get("use_case"):
            yield FactChange(f"for the use case {case}", ("call", "use_case"), case)
    if isinstance(asked := call.get("max_output_tokens"), int) and asked > 1:
        yield FactChange("a much shorter answer", ("call", "max_output_tokens"), asked // 10 or 1)
    approval = {
        "id": _APPROVAL,
        "model": call.get("asked_model"),
        "until_unix": _part(document, "time").get("unix", 0) + _HOUR_S,
        "amount_usd": None,
    }
    grants = document.get("approvals") or []
    yield FactChange("with an approval for this model", ("approvals",), [*grants, approval])


def _of_the_caller(
    document: dict[str, Any], named: Mapping[str, list[str]]
) -> Iterator[FactChange]:
    caller = _part(document, "caller")
    for fact, said in (("roles", "role"), ("groups", "group")):
        held = _texts(caller.get(fact))
        for name in named[fact]:
            if name not in held:
                yield FactChange(f"with the {said} {name}", ("caller", fact), [*held, name])
    for fact in ("clearance", "department", "team"):
        for name in named[fact]:
            if name != caller.get(fact):
                yield FactChange(f"with the {fact} {name}", ("caller", fact), name)
    asked = _part(document, "call").get("asked_model")
    models = _texts(caller.get("allowed_models"))
    if isinstance(asked, str) and asked not in models:
        said = f"with {asked} in the caller's own list of models"
        yield FactChange(said, ("caller", "allowed_models"), [*models, asked])


def _of_candidates(
    document: dict[str, Any], named: Mapping[str, list[str]]
) -> Iterator[FactChange]:
    candidates = document.get("candidates") or []
    there = {str(one["region"]) for one in candidates if one.get("region")}
    regions = sorted({*named["region"], *there})
    for place, candidate in enumerate(candidates):
        here, id = ("candidates", place), candidate.get("id")
        for region in regions:
            if region != candidate.get("region"):
                yield FactChange(f"with {id} in the region {region}", (*here, "region"), region)
        if not candidate.get("is_priced"):
            free = {**candidate, "is_priced": True, "is_free": True, "worst_usd": 0}
            free |= {"usd_per_million_input": 0, "usd_per_million_output": 0}
            yield FactChange(f"with a known price of {id}", here, free)
        for name, value in _part(candidate, "attributes").items():
            if isinstance(value, bool):
                said = f"with {name} {str(not value).lower()} for {id}"
                yield FactChange(said, (*here, "attributes", name), not value)


def _of_budgets(document: dict[str, Any]) -> Iterator[FactChange]:
    for place, budget in enumerate(document.get("budgets") or []):
        fresh = {**budget, "used": 0, "remaining": budget.get("amount"), "used_fraction": 0}
        said = f"with nothing used of {budget.get('measure')} of {budget.get('node')}"
        yield FactChange(said, ("budgets", place), fresh)


def _named_in(lists: Mapping[str, Any]) -> dict[str, list[str]]:
    """What compliance's lists name, by what it is; each name once, sorted."""
    found: dict[str, set[str]] = {fact: set() for fact in _KEYS_OF_LISTS}

    def walk(value: object, key: str) -> None:
        for fact, pattern in _KEYS_OF_LISTS.items():
            if pattern.search(key):
                names = value if isinstance(value, list | Mapping) else [value]
                # Of a group, such as one of regions, its first member stands for all.
                groups = value.values() if isinstance(value, Mapping) else ()
                names = [*names, *(one[0] for one in groups if isinstance(one, list) and one)]
                found[fact] |= {name for name in names if isinstance(name, str) and name}
        if isinstance(value, Mapping):
            for name, item in value.items():
                walk(item, str(name))
        elif isinstance(value, list):
            for item in value:
                walk(item, "")

    walk(lists, "")
    return {fact: sorted(names) for fact, names in found.items()}


def _part(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = document.get(name)
    return found if isinstance(found, dict) else {}


def _texts(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []

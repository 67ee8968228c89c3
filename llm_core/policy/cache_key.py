"""Which calls ask the same question, and may be given the same answer.

Two calls share a key when they ask the same words of the same deployments under the same policy,
and stand in the same part of the organisation. Everything that could make another answer is in the
key; what is forgotten here would be given to the wrong caller.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from llm_core.catalogue import Deployment
from llm_core.digest import canonical, sha256_hex
from llm_core.operation import OWN_OPERATIONS, Operation
from llm_core.policy.call import Call
from llm_core.policy.caller import Caller
from llm_core.policy.decision import CacheScope, Obligations

_FORM = 2
"""Raised when keys or what is kept under them change, so that old answers are not read any more."""
TRAVEL_FIELDS = frozenset({"stream", "stream_options"})
"""Members of a request that say how the answer is to travel, and nothing of what is asked."""
# OpenAI keeps the state of these at its side: the same words have another meaning each time.
# https://platform.openai.com/docs/api-reference/responses/create (checked 2026-11-20)
_STATEFUL_FIELDS = ("previous_response_id", "conversation", "background", "prompt")
_KEPT_OPERATIONS = frozenset(Operation) - OWN_OPERATIONS
_OWN_OBLIGATIONS = frozenset({"cache_seconds", "cache_scope"})
_SCOPES = {
    CacheScope.ORGANISATION: 1,
    CacheScope.DEPARTMENT: 2,
    CacheScope.TEAM: 3,
    CacheScope.PROJECT: 4,
    CacheScope.USER: 7,
}
"""How many of a caller's places, from the organisation down, must be the same."""


def question_digest(operation: Operation, fields: Mapping[str, Any], body_digest: str) -> str:
    """Digest of what is asked, however the answer is to travel.

    Args:
        operation: In which API.
        fields: The client's JSON object. `drop_params` counts: who refuses to have parameters
            dropped must not be given the answer of somebody who did not.
        body_digest: SHA-256 of the canonical object, hex; it is the digest where nothing about
            travelling is said.

    Returns:
        64 characters, hex; empty where no kept answer can be the answer.

    Raises:
        MalformedRequest: The object is nested too deeply.
    """
    if operation not in _KEPT_OPERATIONS:
        return ""
    if operation is Operation.RESPONSES and any(fields.get(name) for name in _STATEFUL_FIELDS):
        return ""
    if not TRAVEL_FIELDS & fields.keys():
        return body_digest
    asked = {name: value for name, value in fields.items() if name not in TRAVEL_FIELDS}
    return sha256_hex(canonical(asked))


def is_told_apart(caller: Caller, scope: CacheScope) -> bool:
    """Whether a scope knows this caller from the next.

    A consumer of Kong that stands for no user has nothing by which to be known from another of the
    same team: to keep an answer "for the user" would give it to them all.
    """
    return scope is not CacheScope.USER or caller.user is not None or caller.key_id is not None


def cache_key(
    call: Call,
    caller: Caller,
    deployments: Sequence[Deployment],
    obligations: Obligations,
    policy_revision: str,
) -> str:
    """Name the answer to one question.

    Args:
        call: What is asked, and in which API: the answer is kept in that API's own form. What is
            said of its data counts too: an answer from labelled words is for calls so labelled.
        caller: Who asks.
        deployments: The permitted ones, in any order. All that the catalogue says of them counts.
        obligations: What policy demands; what it says of the answer counts as well.
        policy_revision: Of the policy that was asked.

    Returns:
        64 characters, hex.
    """
    demanded = {
        name: value for name, value in _plain(obligations).items() if name not in _OWN_OBLIGATIONS
    }
    places = sorted((_plain(one) for one in deployments), key=lambda plain: str(plain["id"]))
    return sha256_hex(
        canonical(
            {
                "form": _FORM,
                "operation": call.operation.value,
                "question": call.question_digest,
                "data_labels": sorted(set(call.data_labels)),
                "scope": obligations.cache_scope.value,
                "caller": _places_of(caller)[: _SCOPES[obligations.cache_scope]],
                "deployments": places,
                "obligations": demanded,
                "policy_revision": policy_revision,
            }
        )
    )


def _places_of(caller: Caller) -> list[str | None]:
    # An id is unique in its kind alone, and a user may be in two teams: the whole path counts.
    return [
        caller.organisation,
        caller.department,
        caller.team,
        caller.project,
        caller.user,
        caller.application,
        # A key that belongs to nobody is a user of its own.
        caller.key_id if caller.user is None else None,
    ]


def _plain(record: Deployment | Obligations) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(record)
    return plain

"""What compliance's lists may hold.

The rules look only at the entries that bind a call, and deny where those make no sense. So that a
list is wrong for nobody, all of it is checked here, once, before it decides anything: a misspelled
setting would else bind nobody, and nobody would notice.

Lists that are not named here are compliance's own, for rules of their own.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationError,
    model_validator,
)

from policy_service.adapters.yaml_file import faults_in

_Name = Annotated[StrictStr, Field(min_length=1, max_length=300)]
_Names = list[_Name]
_Number = StrictInt | StrictFloat
_Mode = Literal["off", "redact", "block"]
_Reading = Literal["tighten", "override"]
_Day = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
_LONGEST_KEPT_S = 31 * 86_400


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Restriction(_Part):
    roles: _Names = []
    departments: _Names = []
    teams: _Names = []
    use_cases: _Names | None = None


class _Models(_Part):
    restricted: dict[_Name, _Restriction]


class _Soft(_Part):
    used_fraction: Annotated[_Number, Field(ge=0)]
    max_usd_per_million_output: Annotated[_Number, Field(ge=0)]


class _Budgets(_Part):
    soft: _Soft


class _Cache(_Part):
    seconds: Annotated[StrictInt, Field(ge=0, le=_LONGEST_KEPT_S)]
    scope: Literal["user", "project", "team", "department", "organisation"]


class _Pii(_Part):
    input: _Mode
    output: _Mode
    restore: StrictBool
    kinds: _Names


class _Log(_Part):
    level: Literal["none", "digest", "redacted", "full"]
    keep_days: Annotated[StrictInt, Field(ge=0)]


class _Window(_Part):
    days: Annotated[list[_Day], Field(min_length=1)]
    from_hour: Annotated[_Number, Field(ge=0, lt=24)]
    until_hour: Annotated[_Number, Field(gt=0, le=24)]

    @model_validator(mode="after")
    def _ends_after_it_began(self) -> Self:
        if self.until_hour <= self.from_hour:
            raise ValueError("until_hour: must be after from_hour; over midnight takes two windows")
        return self


_Cap = Annotated[StrictInt, Field(ge=1)] | None
_Hours = Annotated[list[_Window], Field(min_length=1)] | None
_Sources = Annotated[_Names, Field(min_length=1)] | None


class _Everywhere(_Part):
    """The default: everything has to be said."""

    max_output_tokens: _Cap
    cache: _Cache
    pii: _Pii
    guard: StrictStr
    log: _Log
    tools: StrictBool
    images: StrictBool
    hours: _Hours
    sources: _Sources
    use_case_required: StrictBool


_UNSAID: Any = None


class _Place(_Part):
    """What is particular to a place; what is left out is left to the wider ones."""

    max_output_tokens: _Cap = _UNSAID
    cache: _Cache = _UNSAID
    pii: _Pii = _UNSAID
    guard: StrictStr = _UNSAID
    log: _Log = _UNSAID
    tools: StrictBool = _UNSAID
    images: StrictBool = _UNSAID
    hours: _Hours = _UNSAID
    sources: _Sources = _UNSAID
    use_case_required: StrictBool = _UNSAID


class _Read(_Part):
    pii: _Reading
    guard: _Reading
    log: _Reading


class _Places(_Part):
    default: _Everywhere
    organisations: dict[_Name, _Place]
    departments: dict[_Name, _Place]
    teams: dict[_Name, _Place]
    reading: _Read


class _DataClasses(_Part):
    order: Annotated[_Names, Field(min_length=1)]
    labels: dict[_Name, _Name]
    unlabelled: _Name | None
    clearance_from: _Name | None

    @model_validator(mode="after")
    def _are_in_the_order(self) -> Self:
        named = {*self.labels.values(), self.unlabelled, self.clearance_from} - {None}
        if unknown := sorted(str(name) for name in named - set(self.order)):
            raise ValueError(f"{', '.join(unknown)}: no class of the order")
        return self


class _Residency(_Part):
    regions: dict[_Name, _Names]
    classes: dict[_Name, _Names]
    labels: dict[_Name, _Names]


class _Preset(_Part):
    agreements: _Names
    retention_days: Annotated[StrictInt, Field(ge=0)] | None
    training: Literal["forbidden", "allowed"]
    sub_processors: _Names


class _Agreements(_Part):
    presets: dict[_Name, _Preset]
    classes: dict[_Name, _Names]
    labels: dict[_Name, _Names]

    @model_validator(mode="after")
    def _are_presets(self) -> Self:
        named = {
            name for names in (*self.classes.values(), *self.labels.values()) for name in names
        }
        if unknown := sorted(named - self.presets.keys()):
            raise ValueError(f"{', '.join(unknown)}: no preset")
        return self


class _UseCase(_Part):
    departments: _Names | None = None
    teams: _Names | None = None
    models: _Names | None = None


class _UseCases(_Part):
    only_known: StrictBool
    known: dict[_Name, _UseCase]


class _Exempt(_Part):
    roles: _Names = []
    teams: _Names = []


class _Approvals(_Part):
    models: dict[_Name, _Exempt]
    above_usd: Annotated[_Number, Field(ge=0)] | None


_SHAPES: Mapping[str, type[BaseModel]] = {
    "models": _Models,
    "budgets": _Budgets,
    "places": _Places,
    "data_classes": _DataClasses,
    "residency": _Residency,
    "agreements": _Agreements,
    "use_cases": _UseCases,
    "approvals": _Approvals,
}


def faults_of(name: str, content: object) -> Sequence[tuple[tuple[int | str, ...], str]]:
    """What is wrong with a list: each fault's place in it, and a sentence."""
    shape = _SHAPES.get(name)
    if shape is None:
        return ()
    try:
        shape.model_validate(content)
    except ValidationError as error:
        return tuple(faults_in(error))
    return ()


def faults_between(lists: Mapping[str, Any]) -> Sequence[tuple[tuple[int | str, ...], str]]:
    """What a list names of another that is not there: the list and the place in it, and a sentence.

    A guard that is nowhere would refuse every call that it is for, and only once one is made.

    Args:
        lists: All of them by name, each without faults of its own.
    """
    places, content = lists.get("places"), lists.get("content", {})
    if not isinstance(places, Mapping) or not isinstance(content, Mapping):
        return ()
    guards = content.get("guards", {})
    if not isinstance(guards, Mapping):
        return ()
    known = ", ".join(sorted(guards)) or "none"
    return tuple(
        (("places", *where, "guard"), f"{guard}: no guard of content.yaml, which has {known}")
        for where, place in _every_place(places)
        if (guard := place.get("guard")) and guard not in guards
    )


def _every_place(places: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    yield ("default",), places["default"]
    for level in ("organisations", "departments", "teams"):
        for name, place in places[level].items():
            yield (level, name), place

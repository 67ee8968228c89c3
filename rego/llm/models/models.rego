# METADATA
# title: Which models may the caller use?
# description: |
#   Two lists must agree: the caller's own (`allowed_models`, `*` for all) and compliance's
#   restricted models, which also ask for a role, a department or a team, and may be for some use
#   cases only.
# scope: package
# schemas:
#   - input: schema.input
package llm.models

import data.llm.config
import data.llm.reasons
import data.llm.request

# METADATA
# title: Model not in the caller's list
# description: A caller may ask only for the models listed for its key or team.
# scope: rule
# custom:
#   code: model_not_allowed
#   solution: Ask the platform team to add the model to your team.
deny contains reasons.against_call(
	"model_not_allowed",
	"llm.models",
	"This model is not among those that your key or team may use.",
	"Ask the platform team to add the model to your team.",
) if {
	not request.is_listing
	not _in_own_list(_asked_model)
}

# METADATA
# title: Restricted model
# description: A restricted model needs one of its roles, or a seat in one of its departments or teams.
# scope: rule
# custom:
#   code: model_restricted
#   solution: Ask for one of the roles that the model needs, or choose another model.
deny contains reasons.against_call(
	"model_restricted",
	"llm.models",
	"This model is restricted, and neither your roles nor your place open it.",
	"Ask for one of the roles that the model needs, or choose another model.",
) if {
	not request.is_listing
	not _open_to_caller
}

# METADATA
# title: Restricted to use cases
# description: A restricted model that names use cases is for calls that say one of them.
# scope: rule
# custom:
#   code: model_needs_use_case
#   solution: Send the header x-gatehouse-use-case with a use case that the model is open for.
deny contains reasons.against_call(
	"model_needs_use_case",
	"llm.models",
	"This model is for some use cases only, and the call names none of them.",
	"Send the header x-gatehouse-use-case with a use case that the model is open for.",
) if {
	not request.is_listing
	not _open_to_use_case
}

# METADATA
# title: Models the caller may list
# description: Those of `input.models` that the caller could ask for, in the order given.
# scope: document
listed := [alias |
	some alias in input.models
	_in_own_list(alias)
	_opens(object.get(config.restricted_models, alias, "unrestricted"))
]

# Always defined: a missing model reads as "", which no list holds. It must be, because OPA takes the
# arguments of a negated call out of the negation, and an undefined one undoes the denial.
default _asked_model := ""

_asked_model := input.call.asked_model

_in_own_list(alias) if {
	not alias == ""
	some allowed in input.caller.allowed_models
	_matches(allowed, alias)
}

_matches(allowed, alias) if allowed == alias

_matches("*", alias) if is_string(alias)

# Looked up once; undefined, and so a denial above, when the list itself is lost.
_entry := object.get(config.restricted_models, _asked_model, "unrestricted")

_open_to_caller if _opens(_entry)

_opens("unrestricted")

_opens(entry) if {
	some role in entry.roles
	role in input.caller.roles
}

_opens(entry) if input.caller.team in entry.teams

_opens(entry) if input.caller.department in entry.departments

_open_to_use_case if not _has_use_cases

_open_to_use_case if input.call.use_case in _entry.use_cases

_has_use_cases if _entry.use_cases

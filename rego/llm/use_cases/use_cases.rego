# METADATA
# title: What is the call for?
# description: |
#   A call may have to say its use case. One that compliance knows can be for some teams or
#   departments only, and for some models only.
# scope: package
# schemas:
#   - input: schema.input
package llm.use_cases

import data.llm.config
import data.llm.precedence
import data.llm.reasons
import data.llm.request

# METADATA
# title: Use case missing
# description: A place that binds the caller asks for a use case.
# scope: rule
# custom:
#   code: use_case_missing
#   solution: Send the header x-gatehouse-use-case.
deny contains reasons.against_call(
	"use_case_missing",
	"llm.use_cases",
	"Calls of your team have to say what they are for.",
	"Send the header x-gatehouse-use-case.",
) if {
	not request.is_listing
	not _said_or_optional
}

# METADATA
# title: Use case unknown
# description: Where compliance asks for known use cases, the call names one of them.
# scope: rule
# custom:
#   code: use_case_unknown
#   solution: Name a use case that compliance knows, or ask them to add yours.
deny contains reasons.against_call(
	"use_case_unknown",
	"llm.use_cases",
	"The policy does not know this use case.",
	"Name a use case that compliance knows, or ask them to add yours.",
) if {
	not request.is_listing
	_said
	not _known
}

# METADATA
# title: Use case not for this caller
# description: A use case with teams or departments is for those.
# scope: rule
# custom:
#   code: use_case_not_allowed
#   solution: Ask compliance to open the use case to your team.
deny contains reasons.against_call(
	"use_case_not_allowed",
	"llm.use_cases",
	"This use case is not for your team.",
	"Ask compliance to open the use case to your team.",
) if {
	not request.is_listing
	_said
	not _for_caller
}

# METADATA
# title: Model not for this use case
# description: A use case with models is for those.
# scope: rule
# custom:
#   code: model_not_for_use_case
#   solution: Use a model that this use case is approved for.
deny contains reasons.against_call(
	"model_not_for_use_case",
	"llm.use_cases",
	"This model is not for this use case.",
	"Use a model that this use case is approved for.",
) if {
	not request.is_listing
	_said
	not _for_model
}

# Nobody knows whether a broken use case was meant to be one.
default _said := true

_said := false if is_null(input.call.use_case)

_said_or_optional if {
	_said
	is_string(input.call.use_case)
	not input.call.use_case == ""
} else if {
	every required in precedence.said("use_case_required") { required == false }
}

_known if config.use_cases.only_known == false

_known if is_object(config.use_cases.known[input.call.use_case])

_entry := object.get(config.use_cases.known, input.call.use_case, {})

_for_caller if {
	is_object(_entry)
	not _has_teams
	not _has_departments
}

_for_caller if input.caller.team in _entry.teams

_for_caller if input.caller.department in _entry.departments

_has_teams if _entry.teams

_has_departments if _entry.departments

_for_model if {
	is_object(_entry)
	not _has_models
}

_for_model if input.call.asked_model in _entry.models

_has_models if _entry.models

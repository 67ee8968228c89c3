# METADATA
# title: What do the budgets still permit?
# description: |
#   Soft states of budgets, which are limits of money over whatever time. A budget that is nearly
#   used up leaves the cheap deployments, one that is used up leaves the free ones. The hard limit is
#   not here: it is reserved and checked to the pico-dollar after this decision.
# scope: package
# schemas:
#   - input: schema.input
package llm.budgets

import data.llm.config
import data.llm.reasons

# METADATA
# title: State of budgets unknown
# description: A list, empty for a caller without limits; each has its measure and its used part.
# scope: rule
# custom:
#   code: budgets_unknown
#   solution: Try again; tell the platform team if it stays so.
deny contains reasons.against_call(
	"budgets_unknown",
	"llm.budgets",
	"It is not known where the caller's budgets stand.",
	"Try again; tell the platform team if it stays so.",
) if {
	not _known
}

# METADATA
# title: Budget nearly used up
# description: From the soft threshold to 1, only deployments at or below the cheap price.
# scope: rule
# custom:
#   code: budget_cheaper_models_only
#   solution: Use a cheaper model, or ask the budget's owner for more.
deny contains reasons.against_deployment(
	candidate.id,
	"budget_cheaper_models_only",
	"llm.budgets",
	"A budget is nearly used up; only cheaper models are permitted.",
	"Use a cheaper model, or ask the budget's owner for more.",
) if {
	not _relaxed
	_solvent
	some candidate in input.candidates
	not _cheap(candidate)
}

# METADATA
# title: Budget used up
# description: Once a budget is used up, only free deployments.
# scope: rule
# custom:
#   code: budget_exhausted
#   solution: Use a free model, wait until the budget renews, or ask its owner for more.
deny contains reasons.against_deployment(
	candidate.id,
	"budget_exhausted",
	"llm.budgets",
	"A budget is used up; only free models are permitted.",
	"Use a free model, wait until the budget renews, or ask its owner for more.",
) if {
	not _solvent
	some candidate in input.candidates
	not _free(candidate)
}

# The used part of each budget. Limits of requests and tokens are none, and a cheaper model does not
# help; a measure that is not named here is taken for money.
_used := [limit.used_fraction |
	some limit in input.budgets
	not _is_no_budget(limit.measure)
]

_is_no_budget("requests_per_minute")

_is_no_budget("concurrent_requests")

_is_no_budget("tokens_per_minute")

_is_no_budget("input_tokens_per_minute")

_is_no_budget("output_tokens_per_minute")

_is_no_budget("tokens_per_day")

_is_no_budget("tokens_per_24_hours")

# There is a sum of numbers alone.
_known if {
	is_array(input.budgets)
	every limit in input.budgets {
		_ = limit.measure
		_ = limit.used_fraction
	}
	sum(_used)
}

# Not max(): regopy orders numbers by their spelling there, and 9 is above 10.
_relaxed if {
	_known
	threshold := config.soft_budget.used_fraction
	every used in _used { used < threshold }
}

_solvent if {
	_relaxed
	config.soft_budget.used_fraction <= 1
} else if {
	_known
	every used in _used { used < 1 }
}

_cheap(candidate) if _free(candidate)

_cheap(candidate) if {
	is_number(candidate.usd_per_million_output)
	candidate.usd_per_million_output <= config.soft_budget.max_usd_per_million_output
}

_free(candidate) if candidate.is_free == true

# METADATA
# title: Gatehouse's decision
# description: |
#   The one entrypoint. Asked once per call, it answers for every candidate deployment, so that a
#   fallback can never reach what the caller may not use.
# scope: package
# schemas:
#   - input: schema.input
package llm.main

import data.llm.agreements
import data.llm.approvals
import data.llm.budgets
import data.llm.config
import data.llm.data_classes
import data.llm.features
import data.llm.hours
import data.llm.models
import data.llm.obligations
import data.llm.pricing
import data.llm.request
import data.llm.residency
import data.llm.sources
import data.llm.use_cases

# METADATA
# title: Decision when rules are missing
# description: A question whose package is not loaded leaves _questions undefined, and this stands.
# scope: rule
# custom:
#   code: policy_incomplete
#   solution: Load the whole policy bundle.
default decision := {
	"allow": false,
	"permitted": [],
	"models": [],
	"reasons": [{
		"code": "policy_incomplete",
		"rule": "llm.main",
		"message": "The policy is not completely loaded.",
		"solution": "Load the whole policy bundle.",
		"deployment": "",
	}],
	"obligations": {
		"max_output_tokens": null,
		"cache_seconds": 0,
		"cache_scope": "team",
		"pii": {"input": "block", "output": "block", "restore": false, "kinds": []},
		"guard": "",
		"log": {"level": "none", "keep_days": 0},
	},
	"approval": "",
	"revision": "unknown",
}

# METADATA
# title: Decision
# description: What may be used, why the rest may not, and what must be done.
# scope: rule
decision := {
	"allow": _allow,
	"permitted": _permitted,
	"models": _models,
	"reasons": sort(_denials),
	"obligations": obligations.all,
	"approval": _approval,
	"revision": _revision,
} if {
	_denials
}

# A new question is added here, and nowhere else in this file. One that is not loaded leaves the
# whole undefined. `deny if ...` instead of `deny contains ...` is no set, and of it there is no union.
_questions := {
	request.deny,
	models.deny,
	pricing.deny,
	budgets.deny,
	data_classes.deny,
	residency.deny,
	agreements.deny,
	features.deny,
	hours.deny,
	sources.deny,
	use_cases.deny,
	approvals.deny,
}

_denials := union(_questions)

# Deployments that are barred; "" stands for the whole call.
_barred := {_target(denial) | some denial in _denials}

# A denial that names no candidate, for whatever reason, bars the whole call.
_target(denial) := denial.deployment if {
	some candidate in input.candidates
	candidate.id == denial.deployment
} else := ""

_is_barred(id) if {
	some barred in _barred
	barred == id
}

default _call_barred := false

_call_barred if _is_barred("")

default _allow := false

_allow if not _permitted == []

_allow if {
	request.is_listing
	not _call_barred
}

default _permitted := []

_permitted := [id |
	some candidate in input.candidates
	id := candidate.id
	not _is_barred(id)
] if {
	not _call_barred
	not request.is_listing
}

default _models := []

_models := models.listed if {
	request.is_listing
	not _call_barred
}

default _approval := ""

_approval := approvals.grant if _allow

default _revision := "unknown"

_revision := config.revision

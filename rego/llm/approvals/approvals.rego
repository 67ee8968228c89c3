# METADATA
# title: Does the call need an approval, and is there one?
# description: |
#   Some models need one, for whoever holds none of the roles and sits in none of the teams that are
#   exempt; and so does any call that can cost more than an amount. A grant is for one model, until a
#   time, and may have an amount.
# scope: package
# schemas:
#   - input: schema.input
package llm.approvals

import data.llm.config
import data.llm.reasons
import data.llm.request

# METADATA
# title: Approval required
# description: The deployment may be used with an approval only, and no grant is in force.
# scope: rule
# custom:
#   code: approval_required
#   solution: "Ask for it: gatehouse approvals request --model MODEL --reason REASON, or POST /v1/approvals."
deny contains reasons.against_deployment(
	candidate.id,
	"approval_required",
	"llm.approvals",
	"This model needs an approval, and you have none that is in force.",
	"Ask for it: gatehouse approvals request --model MODEL --reason REASON, or POST /v1/approvals.",
) if {
	not _nothing_needs_one
	not request.is_listing
	_grants == []
	some candidate in input.candidates
	not _needs_none(candidate)
}

# METADATA
# title: Approval too small
# description: The call alone can cost more at this deployment than the approval's whole amount.
# scope: rule
# custom:
#   code: approval_too_small
#   solution: Lower max_tokens, or ask for an approval with a larger amount.
deny contains reasons.against_deployment(
	candidate.id,
	"approval_too_small",
	"llm.approvals",
	"This call can cost more than your approval covers.",
	"Lower max_tokens, or ask for an approval with a larger amount.",
) if {
	not _nothing_needs_one
	not request.is_listing
	not _grants == []
	some candidate in input.candidates
	not _needs_none(candidate)
	not _covered(candidate)
}

# METADATA
# title: The grant that the permission rests on
# description: Its id; empty where none was needed, or none covers the call.
# scope: rule
default grant := ""

grant := _grant.id if {
	not _nothing_needs_one
	some candidate in input.candidates
	not _needs_none(candidate)
	_covered(candidate)
}

default _nothing_needs_one := false

_nothing_needs_one if {
	config.approvals.above_usd == null
	_model_is_free
}

_needs_none(candidate) if {
	_model_is_free
	_is_cheap(candidate)
}

_model_is_free if _entry == "none needed"

_model_is_free if {
	some role in _entry.roles
	role in input.caller.roles
}

_model_is_free if input.caller.team in _entry.teams

# Looked up once; undefined, and so no model free, when the list itself is lost.
_entry := object.get(config.approvals.models, input.call.asked_model, "none needed")

_is_cheap(candidate) if {
	is_number(config.approvals.above_usd)
	is_number(candidate.worst_usd)
	candidate.worst_usd <= config.approvals.above_usd
}

_grants := [grant |
	some grant in input.approvals
	grant.model == input.call.asked_model
	is_string(grant.id)
	grant.id != ""
	is_number(input.time.unix)
	is_number(grant.until_unix)
	input.time.unix < grant.until_unix
]

# The first that covers a deployment; the service gives them in the order in which to use them.
_grant := _covering[0]

_covering := [grant |
	some grant in _grants
	_covers_some(grant)
]

_covers_some(grant) if {
	some candidate in input.candidates
	_covers(grant, candidate)
}

_covered(candidate) if _covers(_grant, candidate)

_covers(grant, _) if grant.amount_usd == null

_covers(grant, candidate) if {
	is_number(grant.amount_usd)
	is_number(candidate.worst_usd)
	candidate.worst_usd <= grant.amount_usd
}

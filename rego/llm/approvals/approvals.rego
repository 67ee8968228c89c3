# METADATA
# title: Does the model need an approval, and is there one?
# description: |
#   Models on compliance's list need a grant that holds, is good for this caller and is for the model.
#   The service lists those in the order in which calls rely on them.
# scope: package
# schemas:
#   - input: schema.input
package llm.approvals

import data.llm.config
import data.llm.reasons
import data.llm.request

# METADATA
# title: Approval missing
# description: A listed model is barred to callers without a grant for it.
# scope: rule
# custom:
#   code: approval_required
#   solution: Ask for an approval, with the reason.
deny contains reasons.against_call(
	"approval_required",
	"llm.approvals",
	"This model needs an approval, and none holds for you.",
	"Ask for an approval, with the reason.",
) if {
	not request.is_listing
	not _open(_asked_model)
}

# METADATA
# title: The grant that the permission rests on
# description: Its id; empty where none is needed, or none holds.
# scope: document
default approval := ""

approval := _granted(_asked_model)[0] if _is_required(_asked_model)

default _asked_model := ""

_asked_model := input.call.asked_model

# Undefined, and so a denial above, when the list itself is lost.
_open(alias) if {
	required := config.approvals_required
	not alias in required
}

_open(alias) if count(_granted(alias)) > 0

_is_required(alias) if alias in config.approvals_required

_granted(alias) := [grant.id |
	some grant in input.approvals
	grant.model == alias
	grant.until_unix > input.time.unix
]

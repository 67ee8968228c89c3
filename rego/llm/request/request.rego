# METADATA
# title: Is the question complete?
# description: |
#   Denies an input that the other rules could not judge. Each denial negates a helper, so that a
#   missing part, which leaves the helper undefined, is a denial too.
# scope: package
# schemas:
#   - input: schema.input
package llm.request

import data.llm.config
import data.llm.reasons

# METADATA
# title: Unknown input version
# description: These rules judge version 1 of the input and nothing else.
# scope: rule
# custom:
#   code: input_version
#   solution: Bring the policy service and its policy bundle to versions that belong together.
deny contains reasons.against_call(
	"input_version",
	"llm.request",
	"The policy does not know this version of its input.",
	"Bring the policy service and its policy bundle to versions that belong together.",
) if {
	not _version_supported
}

# METADATA
# title: Compliance's lists incomplete
# description: A list is missing from the bundle or has the wrong shape.
# scope: rule
# custom:
#   code: policy_data_incomplete
#   solution: Run the policy's tests on the bundle and load it again.
deny contains reasons.against_call(
	"policy_data_incomplete",
	"llm.request",
	"A list that the policy needs is missing or has the wrong shape.",
	"Run the policy's tests on the bundle and load it again.",
) if {
	not config.complete
}

# METADATA
# title: Caller unknown
# description: A caller has an organisation, a department and a team.
# scope: rule
# custom:
#   code: caller_unknown
#   solution: Send the credential that the platform team gave you.
deny contains reasons.against_call(
	"caller_unknown",
	"llm.request",
	"Nobody is known to stand behind this call.",
	"Send the credential that the platform team gave you.",
) if {
	not _caller_known
}

# METADATA
# title: Operation not governed
# description: Only operations that these rules were written for.
# scope: rule
# custom:
#   code: operation_not_allowed
#   solution: Use an operation that the gateway offers.
deny contains reasons.against_call(
	"operation_not_allowed",
	"llm.request",
	"The policy does not permit this operation.",
	"Use an operation that the gateway offers.",
) if {
	not _operation_governed
}

# METADATA
# title: Nothing to decide about
# description: A call names at least one candidate deployment; a listing names the models.
# scope: rule
# custom:
#   code: no_candidates
#   solution: Ask for a model that has a deployment.
deny contains reasons.against_call(
	"no_candidates",
	"llm.request",
	"No deployment stands behind this call.",
	"Ask for a model that has a deployment.",
) if {
	not _candidates_named
}

# METADATA
# title: The caller asks for the list of models
# description: Such a call has no candidates; `models` holds the aliases to choose from.
# scope: document
default is_listing := false

is_listing if input.call.operation == "models"

_version_supported if input.version == 1

_caller_known if {
	_named(input.caller.organisation)
	_named(input.caller.department)
	_named(input.caller.team)
}

_operation_governed if _governed(input.call.operation)

_governed("chat.completions")

_governed("completions")

_governed("embeddings")

_governed("messages")

_governed("models")

_governed("responses")

_candidates_named if {
	is_listing
	is_array(input.models)
}

# Only an array that is not empty has a first element.
_candidates_named if {
	not is_listing
	input.candidates[0]
	every candidate in input.candidates { _named(candidate.id) }
}

_named(name) if {
	is_string(name)
	not name == ""
}

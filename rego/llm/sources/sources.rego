# METADATA
# title: Does the call come from an allowed network?
# description: |
#   Every place that binds the caller must know one of the networks that the client's address lies
#   in. A route that does not tell the address has no networks, and no list that names some is met.
# scope: package
# schemas:
#   - input: schema.input
package llm.sources

import data.llm.precedence
import data.llm.reasons
import data.llm.request

# METADATA
# title: Network not allowed
# description: The client is in none of the networks from which its team may call.
# scope: rule
# custom:
#   code: network_not_allowed
#   solution: Call from a network that compliance has named for your team.
deny contains reasons.against_call(
	"network_not_allowed",
	"llm.sources",
	"Your team may not call models from this network.",
	"Call from a network that compliance has named for your team.",
) if {
	not request.is_listing
	not _from_allowed
}

_from_allowed if {
	every names in precedence.said("sources") { _among(names) }
}

_among(null)

_among(names) if {
	some name in names
	name in input.call.networks
}

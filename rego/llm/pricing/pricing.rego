# METADATA
# title: Is the price known?
# description: A deployment without a price could break every budget unseen; a free one says so.
# scope: package
# schemas:
#   - input: schema.input
package llm.pricing

import data.llm.reasons

# METADATA
# title: Unpriced deployment
# description: Only a deployment whose price is known, zero included, may be used.
# scope: rule
# custom:
#   code: unpriced_model
#   solution: Ask the platform team to add the model's price.
deny contains reasons.against_deployment(
	candidate.id,
	"unpriced_model",
	"llm.pricing",
	"No price is known for this deployment, so no budget could hold.",
	"Ask the platform team to add the model's price.",
) if {
	some candidate in input.candidates
	not _priced(candidate)
}

_priced(candidate) if {
	candidate.is_priced == true

	# There is a sum of numbers alone.
	sum([candidate.usd_per_million_input, candidate.usd_per_million_output])
}

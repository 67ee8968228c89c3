package llm.pricing_test

import data.llm.examples_test as examples
import data.llm.pricing

barred(document) := deployments if {
	denials := pricing.deny with input as document
	deployments := {reason.deployment | some reason in denials}
}

considering(candidates) := object.union(object.remove(examples.chat, {"candidates"}), {"candidates": candidates})

test_priced_and_free_deployments_are_not_denied if barred(examples.chat) == set()

test_an_unpriced_deployment_is_denied_and_no_other if {
	denials := pricing.deny with input as considering([examples.cheap, examples.unpriced])
	denials == {{
		"code": "unpriced_model",
		"rule": "llm.pricing",
		"message": "No price is known for this deployment, so no budget could hold.",
		"solution": "Ask the platform team to add the model's price.",
		"deployment": "unpriced",
	}}
}

test_half_a_price_is_none if {
	every part in ["is_priced", "usd_per_million_input", "usd_per_million_output"] {
		barred(considering([object.remove(examples.cheap, {part})])) == {"cheap"}
		barred(considering([object.union(examples.cheap, {part: "0.6"})])) == {"cheap"}
	}
}

test_a_bare_candidate_is_denied if barred(considering([{"id": "bare"}])) == {"bare"}

# There is nothing to deny in it; llm.request denies it, llm.main permits nothing.
test_empty_input_has_no_deployment_to_deny if barred({}) == set()

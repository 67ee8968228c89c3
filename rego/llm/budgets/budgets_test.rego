package llm.budgets_test

import data.llm.budgets
import data.llm.examples_test as examples

denials(document) := denials if {
	denials := budgets.deny with input as document with data.data as examples.lists
}

found(document) := {[reason.code, reason.deployment] | some reason in denials(document)}

with_limits(limits) := object.union(object.remove(examples.chat, {"budgets"}), {"budgets": limits})

used(fraction) := with_limits([examples.budget("team:emea-sales", fraction), examples.rate_limit(1)])

unknown := {
	["budgets_unknown", ""],
	["budget_exhausted", "costly"],
	["budget_exhausted", "cheap"],
}

test_a_fresh_budget_permits_everything if {
	every fraction in [0, 0.5, 0.8999] { found(used(fraction)) == set() }
}

test_no_limits_permit_everything if found(with_limits([])) == set()

test_a_nearly_used_budget_leaves_the_cheaper if {
	every fraction in [0.9, 0.95, 0.9999] {
		found(used(fraction)) == {["budget_cheaper_models_only", "costly"]}
	}
}

test_the_reason_says_what_to_do if {
	denials(used(0.9)) == {{
		"code": "budget_cheaper_models_only",
		"rule": "llm.budgets",
		"message": "A budget is nearly used up; only cheaper models are permitted.",
		"solution": "Use a cheaper model, or ask the budget's owner for more.",
		"deployment": "costly",
	}}
}

test_a_deployment_at_the_threshold_is_cheap if {
	document := object.union(
		object.remove(used(0.95), {"candidates"}),
		{"candidates": [
			object.union(examples.cheap, {"id": "at", "usd_per_million_output": 1}),
			object.union(examples.cheap, {"id": "above", "usd_per_million_output": 1.0001}),
		]},
	)
	found(document) == {["budget_cheaper_models_only", "above"]}
}

test_a_used_budget_leaves_the_free if {
	every fraction in [1, 1.0, 1.2, 1000] {
		found(used(fraction)) == {
			["budget_exhausted", "costly"],
			["budget_exhausted", "cheap"],
		}
	}
}

test_the_fullest_budget_counts if {
	nodes := [examples.budget("user:ada", 0.2), examples.budget("organisation:acme", 0.95)]
	found(with_limits(nodes)) == {["budget_cheaper_models_only", "costly"]}
}

test_limits_of_requests_and_tokens_are_no_budgets if {
	found(with_limits([examples.rate_limit(1), examples.rate_limit(7)])) == set()
	every measure in [
		"concurrent_requests",
		"tokens_per_minute",
		"input_tokens_per_minute",
		"output_tokens_per_minute",
		"tokens_per_day",
		"tokens_per_24_hours",
	] {
		found(with_limits([measured(measure)])) == set()
	}
}

test_money_is_a_budget_over_whatever_time if {
	every measure in ["usd_per_day", "usd_per_24_hours", "usd_per_month", "usd_per_30_days"] {
		found(with_limits([measured(measure)])) == {["budget_cheaper_models_only", "costly"]}
	}
}

test_a_new_kind_of_limit_is_taken_for_a_budget if {
	found(with_limits([measured("euros_per_week")])) == {["budget_cheaper_models_only", "costly"]}
}

measured(measure) := object.union(examples.budget("team:emea-sales", 0.95), {"measure": measure})

test_unreadable_limits_are_denied if {
	every limit in [
		{},
		null,
		object.remove(examples.budget("a", 0.1), {"used_fraction"}),
		object.remove(examples.budget("a", 0.1), {"measure"}),
		object.union(examples.budget("a", 0.1), {"used_fraction": "0.1"}),
	] {
		found(with_limits([limit])) == unknown
	}
	every limits in [null, {}, "none"] { found(with_limits(limits)) == unknown }
	found(object.remove(examples.chat, {"budgets"})) == unknown
}

test_a_candidate_without_a_price_is_not_cheap if {
	document := object.union(object.remove(used(0.95), {"candidates"}), {"candidates": [examples.unpriced]})
	found(document) == {["budget_cheaper_models_only", "unpriced"]}
}

test_a_candidate_that_does_not_say_it_is_free_is_not if {
	bare := object.remove(examples.free, {"is_free"})
	document := object.union(object.remove(used(1), {"candidates"}), {"candidates": [bare]})
	found(document) == {["budget_exhausted", "free"]}
}

test_lost_thresholds_deny_all_but_free if {
	denials_without := budgets.deny with input as used(0.1) with data.data as {}
	{[reason.code, reason.deployment] | some reason in denials_without} == {
		["budget_cheaper_models_only", "costly"],
		["budget_cheaper_models_only", "cheap"],
	}
}

test_empty_input_is_denied if found({}) == {["budgets_unknown", ""]}

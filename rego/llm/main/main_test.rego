package llm.main_test

import data.llm.examples_test as examples
import data.llm.main

decide(document) := decision if {
	decision := main.decision with input as document with data.llm.compliance as examples.lists
}

codes(decision) := {reason.code | some reason in decision.reasons}

denied(decision) if {
	decision.allow == false
	decision.permitted == []
	decision.models == []
	count(decision.reasons) > 0
}

test_everything_is_permitted_in_the_candidates_order if {
	decide(examples.chat) == {
		"allow": true,
		"permitted": ["costly", "cheap", "free"],
		"models": [],
		"reasons": [],
		"obligations": {"max_output_tokens": null, "cache_seconds": 0, "cache_scope": "team"},
		"approval": "",
		"revision": "test-1",
	}
}

test_some_deployments_barred_leave_the_others if {
	document := object.union(examples.chat, {"budgets": [examples.budget("team:emea-sales", 0.95)]})
	decide(document) == {
		"allow": true,
		"permitted": ["cheap", "free"],
		"models": [],
		"reasons": [{
			"code": "budget_cheaper_models_only",
			"rule": "llm.budgets",
			"message": "A budget is nearly used up; only cheaper models are permitted.",
			"solution": "Use a cheaper model, or ask the budget's owner for more.",
			"deployment": "costly",
		}],
		"obligations": {"max_output_tokens": null, "cache_seconds": 0, "cache_scope": "team"},
		"approval": "",
		"revision": "test-1",
	}
}

test_all_deployments_barred_deny_the_call if {
	document := object.union(examples.chat, {"candidates": [examples.unpriced]})
	decision := decide(document)
	denied(decision)
	codes(decision) == {"unpriced_model"}
}

test_one_denial_of_the_call_bars_every_deployment if {
	document := object.union(examples.chat, {"caller": object.union(examples.caller, {"allowed_models": []})})
	decision := decide(document)
	denied(decision)
	codes(decision) == {"model_not_allowed"}
}

test_a_listing_names_the_callers_models if {
	decide(examples.listing) == {
		"allow": true,
		"permitted": [],
		"models": ["chat"],
		"reasons": [],
		"obligations": {"max_output_tokens": null, "cache_seconds": 0, "cache_scope": "team"},
		"approval": "",
		"revision": "test-1",
	}
}

test_a_listing_may_be_empty if {
	document := object.union(examples.listing, {"caller": object.union(examples.caller, {"allowed_models": []})})
	decision := decide(document)
	decision.allow == true
	decision.models == []
}

test_a_listing_permits_no_deployment if {
	decide(object.union(examples.listing, {"candidates": [examples.cheap]})).permitted == []
}

test_a_listing_by_nobody_is_denied if {
	decision := decide(object.remove(examples.listing, {"caller"}))
	denied(decision)
	codes(decision) == {"caller_unknown"}
}

test_empty_input_is_denied if {
	decision := decide({})
	denied(decision)
	"caller_unknown" in codes(decision)
}

test_no_input_at_all_is_denied if {
	decision := main.decision
	denied(decision)
}

test_each_missing_part_is_denied if {
	every part in ["version", "caller", "call", "candidates", "budgets"] {
		denied(decide(object.remove(examples.chat, {part})))
	}
}

test_missing_lists_deny_and_leave_the_revision_unknown if {
	decision := main.decision with input as examples.chat with data.llm.compliance as {}
	denied(decision)
	decision.revision == "unknown"
	"policy_data_incomplete" in codes(decision)
}

test_obligations_bind_an_allowed_call if {
	capped := object.union(
		object.remove(examples.lists, {"obligations"}),
		{"obligations": {
			"max_output_tokens": {"default": 512, "departments": {}, "teams": {}},
			"cache": {"default": {"seconds": 60, "scope": "user"}, "departments": {}, "teams": {}},
		}},
	)
	decision := main.decision with input as examples.chat with data.llm.compliance as capped
	decision.allow == true
	decision.obligations == {"max_output_tokens": 512, "cache_seconds": 60, "cache_scope": "user"}
}

test_a_question_that_is_no_set_of_denials_denies if {
	every question in [true, [], "denied", {"code": "a"}] {
		decision := main.decision with input as examples.chat
			with data.llm.compliance as examples.lists
			with main._questions as [set(), question]
		denied(decision)
		codes(decision) == {"policy_incomplete"}
	}
}

test_a_denial_that_names_no_candidate_bars_the_whole_call if {
	every denial in [{"code": "a"}, {"code": "a", "deployment": "chep"}, {"code": "a", "deployment": 7}] {
		decision := main.decision with input as examples.chat
			with data.llm.compliance as examples.lists
			with main._questions as [set(), {denial}]
		denied(decision)
		codes(decision) == {"a"}
	}
}

test_a_denial_that_names_a_candidate_bars_it_alone if {
	decision := main.decision with input as examples.chat
		with data.llm.compliance as examples.lists
		with main._questions as [set(), {{"code": "a", "deployment": "cheap"}}]
	decision.permitted == ["costly", "free"]
}

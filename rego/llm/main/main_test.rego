package llm.main_test

import data.llm.examples_test as examples
import data.llm.main

decide(document) := decision if {
	decision := main.decision with input as document with data.data as examples.lists
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
		"obligations": examples.no_obligations,
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
		"obligations": examples.no_obligations,
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
		"obligations": examples.no_obligations,
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

test_without_a_time_what_depends_on_it_is_denied if {
	lists := examples.with_list("places", {"default": {"hours": [{"days": ["friday"], "from_hour": 0, "until_hour": 24}]}})
	decision := main.decision with input as object.remove(examples.chat, {"time"}) with data.data as lists
	denied(decision)
	codes(decision) == {"outside_hours"}
}

test_a_permission_names_the_approval_that_it_rests_on if {
	lists := examples.with_list("approvals", {"models": {"chat": {}}})
	grant := {"id": "apr_1", "model": "chat", "until_unix": examples.time.unix + 1, "amount_usd": null}
	granted := main.decision with input as object.union(examples.chat, {"approvals": [grant]}) with data.data as lists
	granted.allow == true
	granted.approval == "apr_1"
	refused := main.decision with input as examples.chat with data.data as lists
	denied(refused)
	codes(refused) == {"approval_required"}
	refused.approval == ""
}

test_a_refusal_names_no_approval if {
	lists := examples.with_list("approvals", {"models": {"chat": {}}})
	grant := {"id": "apr_1", "model": "chat", "until_unix": examples.time.unix + 1, "amount_usd": null}
	document := object.union(object.remove(examples.chat, {"version"}), {"approvals": [grant]})
	refused := main.decision with input as document with data.data as lists
	denied(refused)
	refused.approval == ""
}

test_without_rules_for_obligations_words_are_blocked_and_nothing_is_kept if {
	decision := main.decision with input as examples.chat
		with data.data as examples.lists
		with main._questions as {true}
	denied(decision)
	decision.obligations.pii.input == "block"
	decision.obligations.log == {"level": "none", "keep_days": 0}
}

test_missing_lists_deny_and_leave_the_revision_unknown if {
	decision := main.decision with input as examples.chat with data.data as {}
	denied(decision)
	decision.revision == "unknown"
	codes(decision) == {"policy_incomplete"}
}

test_a_lost_list_is_denied if {
	every list in object.keys(examples.lists) {
		decision := main.decision with input as examples.chat with data.data as object.remove(examples.lists, {list})
		denied(decision)
	}
}

# What the call needs of a list cannot be lost unseen.
test_a_lost_part_of_a_list_is_denied if {
	every place in [
		["models", "restricted"],
		["data_classes", "order"],
		["data_classes", "labels"],
		["residency", "regions"],
		["residency", "classes"],
		["residency", "labels"],
		["agreements", "presets"],
		["agreements", "classes"],
		["agreements", "labels"],
		["places", "default"],
		["use_cases", "known"],
	] {
		lost := object.union(object.remove(strict, {place[0]}), {place[0]: object.remove(strict[place[0]], {place[1]})})
		decision := main.decision with input as careful with data.data as lost
		denied(decision)
	}
}

# Every list says something about this call, and all of it is met.
strict := object.union(examples.lists, {
	"models": {"restricted": {"chat": {"teams": ["emea-sales"], "use_cases": ["triage"]}}},
	"data_classes": {"unlabelled": "internal"},
	"places": {
		"default": {"hours": [{"days": ["friday"], "from_hour": 8, "until_hour": 20}]},
		"departments": {"sales": {"sources": ["office"]}},
		"teams": {"emea-sales": {"tools": true}},
	},
	"use_cases": {"only_known": true, "known": {"triage": {"teams": ["emea-sales"], "models": ["chat"]}}},
	"approvals": {"models": {"chat": {}}, "above_usd": 5},
})

careful := object.union(examples.chat, {
	"caller": object.union(examples.caller, {"clearance": "restricted"}),
	"call": object.union(examples.call, {
		"data_labels": ["personal"],
		"use_case": "triage",
		"networks": ["office"],
		"has_tools": true,
	}),
	"approvals": [{"id": "apr_1", "model": "chat", "until_unix": examples.time.unix + 1, "amount_usd": null}],
})

test_a_call_that_meets_every_list_is_permitted if {
	decision := main.decision with input as careful with data.data as strict
	decision.permitted == ["costly", "cheap", "free"]
	decision.approval == "apr_1"
}

test_obligations_bind_an_allowed_call if {
	capped := examples.with_list("places", {"default": {
		"max_output_tokens": 512,
		"cache": {"seconds": 60, "scope": "user"},
		"guard": "strict",
	}})
	decision := main.decision with input as examples.chat with data.data as capped
	decision.allow == true
	bound := {"max_output_tokens": 512, "cache_seconds": 60, "cache_scope": "user", "guard": "strict"}
	decision.obligations == object.union(examples.no_obligations, bound)
}

test_a_question_that_is_no_set_of_denials_denies if {
	every question in [true, [], "denied", {"code": "a"}] {
		decision := main.decision with input as examples.chat
			with data.data as examples.lists
			with main._questions as {set(), question}
		denied(decision)
		codes(decision) == {"policy_incomplete"}
	}
}

test_a_denial_that_names_no_candidate_bars_the_whole_call if {
	every denial in [{"code": "a"}, {"code": "a", "deployment": "chep"}, {"code": "a", "deployment": 7}] {
		decision := main.decision with input as examples.chat
			with data.data as examples.lists
			with main._questions as {set(), {denial}}
		denied(decision)
		codes(decision) == {"a"}
	}
}

test_a_denial_that_names_a_candidate_bars_it_alone if {
	decision := main.decision with input as examples.chat
		with data.data as examples.lists
		with main._questions as {set(), {{"code": "a", "deployment": "cheap"}}}
	decision.permitted == ["costly", "free"]
}

package llm.approvals_test

import data.llm.approvals
import data.llm.examples_test as examples

found_under(document, lists) := found if {
	denials := approvals.deny with input as document with data.data as lists
	found := {[reason.code, reason.deployment] | some reason in denials}
}

grant_under(document, lists) := id if {
	id := approvals.grant with input as document with data.data as lists
}

restricted := examples.with_list("approvals", {"models": {"chat": {"roles": ["lead"], "teams": ["core"]}}})

granted(grants) := object.union(examples.chat, {"approvals": grants})

grant := {"id": "apr_1", "model": "chat", "until_unix": examples.time.unix + 60, "amount_usd": null}

changed(changes) := object.union(grant, changes)

required := {["approval_required", "costly"], ["approval_required", "cheap"], ["approval_required", "free"]}

test_without_entries_nothing_needs_an_approval if {
	found_under(examples.chat, examples.lists) == set()
	grant_under(granted([grant]), examples.lists) == ""
}

test_a_model_that_needs_one_is_denied_without if {
	found_under(examples.chat, restricted) == required
	grant_under(examples.chat, restricted) == ""
}

test_the_reason_says_how_to_ask if {
	document := object.union(object.remove(examples.chat, {"candidates"}), {"candidates": [examples.cheap]})
	denials := approvals.deny with input as document with data.data as restricted
	denials == {{
		"code": "approval_required",
		"rule": "llm.approvals",
		"message": "This model needs an approval, and you have none that is in force.",
		"solution": "Ask for it: gatehouse approvals request --model MODEL --reason REASON, or POST /v1/approvals.",
		"deployment": "cheap",
	}}
}

test_a_grant_opens_the_model_and_is_named if {
	found_under(granted([grant]), restricted) == set()
	grant_under(granted([grant]), restricted) == "apr_1"
}

test_grants_for_other_models_past_ones_and_broken_ones_open_nothing if {
	every other in [
		changed({"model": "o1-pro"}),
		changed({"until_unix": examples.time.unix}),
		changed({"until_unix": examples.time.unix - 1}),
		changed({"id": ""}),
		changed({"id": 7}),
		object.remove(grant, {"until_unix"}),
		object.remove(grant, {"model"}),
		null,
	] {
		found_under(granted([other]), restricted) == required
		grant_under(granted([other]), restricted) == ""
	}
	every grants in [null, {}, "all"] { found_under(granted(grants), restricted) == required }
	found_under(object.remove(examples.chat, {"approvals"}), restricted) == required
}

test_exempt_roles_and_teams_need_none if {
	every place in [{"roles": ["lead"]}, {"team": "core"}] {
		document := object.union(examples.chat, {"caller": object.union(examples.caller, place)})
		found_under(document, restricted) == set()
		grant_under(object.union(document, {"approvals": [grant]}), restricted) == ""
	}
}

test_an_amount_covers_what_the_call_can_cost if {
	every amount in [0.01, 1] { found_under(granted([changed({"amount_usd": amount})]), restricted) == set() }
	found_under(granted([changed({"amount_usd": 0.001})]), restricted) == {
		["approval_too_small", "costly"],
		["approval_too_small", "cheap"],
	}
	found_under(granted([object.remove(grant, {"amount_usd"})]), restricted) == {
		["approval_too_small", "costly"],
		["approval_too_small", "cheap"],
		["approval_too_small", "free"],
	}
}

test_the_first_grant_that_covers_a_deployment_is_used if {
	small := changed({"id": "apr_0", "amount_usd": -1})
	found_under(granted([small, grant]), restricted) == set()
	grant_under(granted([small, grant]), restricted) == "apr_1"
	grant_under(granted([changed({"id": "apr_2"}), grant]), restricted) == "apr_2"
	grant_under(granted([small]), restricted) == ""
}

test_a_costly_call_needs_an_approval if {
	lists := examples.with_list("approvals", {"above_usd": 0.005})
	found_under(examples.chat, lists) == {["approval_required", "costly"], ["approval_required", "cheap"]}
	found_under(granted([grant]), lists) == set()
	grant_under(granted([grant]), lists) == "apr_1"
}

test_a_call_of_unknown_cost_is_a_costly_one if {
	lists := examples.with_list("approvals", {"above_usd": 1000})
	document := object.union(object.remove(examples.chat, {"candidates"}), {"candidates": [examples.unpriced]})
	found_under(document, lists) == {["approval_required", "unpriced"]}
}

test_lost_lists_deny if found_under(examples.chat, {}) == required

test_a_listing_needs_none if found_under(examples.listing, restricted) == set()

# There is nothing to deny in it; llm.request denies it, llm.main permits nothing.
test_empty_input_has_no_deployment_to_deny if {
	found_under({}, restricted) == set()
	grant_under({}, restricted) == ""
}

package llm.models_test

import data.llm.examples_test as examples
import data.llm.models

codes_under(document, lists) := found if {
	denials := models.deny with input as document with data.data as lists
	found := {reason.code | some reason in denials}
}

codes(document) := codes_under(document, examples.lists)

asking(alias) := object.union(examples.chat, {"call": object.union(examples.call, {"asked_model": alias})})

calling_as(caller, alias) := object.union(
	object.remove(asking(alias), {"caller"}),
	{"caller": object.union(examples.caller, caller)},
)

listed(document) := aliases if {
	aliases := models.listed with input as document with data.data as examples.lists
}

test_a_model_in_the_callers_list_is_not_denied if codes(asking("chat")) == set()

test_the_reason_says_what_to_do if {
	denials := models.deny with input as asking("zeta") with data.data as examples.lists
	denials == {{
		"code": "model_not_allowed",
		"rule": "llm.models",
		"message": "This model is not among those that your key or team may use.",
		"solution": "Ask the platform team to add the model to your team.",
		"deployment": "",
	}}
}

test_empty_input_is_denied if "model_not_allowed" in codes({})

test_no_input_at_all_is_denied if {
	some reason in models.deny
	reason.code == "model_not_allowed"
}

test_a_missing_model_is_denied if {
	codes(object.remove(examples.chat, {"call"})) == {"model_not_allowed"}
	codes(asking("")) == {"model_not_allowed"}
	codes(asking(null)) == {"model_not_allowed"}
}

test_a_star_opens_every_named_model_and_no_other if {
	codes(calling_as({"allowed_models": ["*"]}, "zeta")) == set()
	every nameless in ["", null, 7, ["chat"]] {
		codes(calling_as({"allowed_models": ["*"]}, nameless)) == {"model_not_allowed"}
	}
}

test_an_empty_name_in_the_list_opens_nothing if {
	codes(calling_as({"allowed_models": [""]}, "")) == {"model_not_allowed"}
}

test_lost_lists_of_the_caller_are_denied if {
	every allowed_models in [[], null, "chat"] {
		codes(calling_as({"allowed_models": allowed_models}, "chat")) == {"model_not_allowed"}
	}
	codes(object.remove(examples.chat, {"caller"})) == {"model_not_allowed"}
}

test_a_restricted_model_is_denied_without_role_and_department if {
	codes(asking("o1-pro")) == {"model_restricted"}
}

test_a_role_opens_a_restricted_model if {
	codes(calling_as({"roles": ["developer", "power-user"]}, "o1-pro")) == set()
}

test_a_department_opens_a_restricted_model if {
	codes(calling_as({"department": "research"}, "o1-pro")) == set()
}

test_a_team_opens_a_restricted_model if {
	lists := object.union(examples.lists, {"models": {"restricted": {"chat": {"teams": ["emea-sales"]}}}})
	codes_under(asking("chat"), lists) == set()
	others := object.union(examples.lists, {"models": {"restricted": {"chat": {"teams": ["x"]}}}})
	codes_under(asking("chat"), others) == {"model_restricted"}
}

test_a_model_can_be_for_some_use_cases_only if {
	entry := {"teams": ["emea-sales"], "use_cases": ["triage"]}
	lists := object.union(examples.lists, {"models": {"restricted": {"chat": entry}}})
	codes_under(asking("chat"), lists) == {"model_needs_use_case"}
	codes_under(examples.calling({"use_case": "gossip"}), lists) == {"model_needs_use_case"}
	codes_under(examples.calling({"use_case": "triage"}), lists) == set()
	codes_under(object.remove(examples.calling({"use_case": "triage"}), {"caller"}), lists) == {"model_not_allowed", "model_restricted"}
}

test_an_opened_model_still_needs_a_place_in_the_callers_list if {
	caller := {"department": "research", "allowed_models": ["chat"]}
	codes(calling_as(caller, "o1-pro")) == {"model_not_allowed"}
}

test_a_star_does_not_open_a_restricted_model if {
	codes(calling_as({"allowed_models": ["*"]}, "o1-pro")) == {"model_restricted"}
}

test_an_entry_that_names_nobody_bars_everybody if {
	every entry in [{}, {"roles": []}, {"roles": null, "departments": null}, null] {
		lists := object.union(examples.lists, {"models": {"restricted": {"chat": entry}}})
		codes_under(asking("chat"), lists) == {"model_restricted"}
	}
}

test_lost_restrictions_deny if {
	codes_under(asking("chat"), object.remove(examples.lists, {"models"})) == {"model_restricted"}
}

test_a_listing_is_not_denied if codes(examples.listing) == set()

test_listed_are_the_callers_own_in_the_order_asked if {
	listed(examples.listing) == ["chat"]
	opened := object.union(examples.listing, {"caller": object.union(examples.caller, {
		"department": "research",
		"allowed_models": ["*"],
	})})
	listed(opened) == ["zeta", "o1-pro", "chat"]
}

test_nothing_is_listed_for_nobody if {
	listed(object.remove(examples.listing, {"caller"})) == []
	listed({}) == []
}

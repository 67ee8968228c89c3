package llm.use_cases_test

import data.llm.examples_test as examples
import data.llm.use_cases

codes_under(document, lists) := found if {
	denials := use_cases.deny with input as document with data.data as lists
	found := {reason.code | some reason in denials}
}

saying(use_case) := examples.calling({"use_case": use_case})

known(entry) := examples.with_list("use_cases", {"known": {"triage": entry}})

required := examples.with_list("places", {"default": {"use_case_required": true}})

test_nothing_is_asked_for_by_default if {
	codes_under(examples.chat, examples.lists) == set()
	codes_under(saying("anything"), examples.lists) == set()
}

test_one_place_that_asks_for_a_use_case_is_enough if {
	every lists in examples.at_each_place({"use_case_required": true}) {
		codes_under(examples.chat, lists) == {"use_case_missing"}
		codes_under(saying(""), lists) == {"use_case_missing"}
		codes_under(saying("triage"), lists) == set()
	}
}

test_a_team_cannot_lift_what_its_department_asks_for if {
	lists := examples.with_list("places", {
		"departments": {"sales": {"use_case_required": true}},
		"teams": {"emea-sales": {"use_case_required": false}},
	})
	codes_under(examples.chat, lists) == {"use_case_missing"}
}

test_only_known_use_cases_where_the_list_says_so if {
	lists := examples.with_list("use_cases", {"only_known": true, "known": {"triage": {}}})
	codes_under(saying("triage"), lists) == set()
	codes_under(saying("gossip"), lists) == {"use_case_unknown"}
	codes_under(saying(7), lists) == {"use_case_unknown"}
	codes_under(examples.chat, lists) == set()
}

test_a_use_case_is_for_its_teams_and_departments if {
	codes_under(saying("triage"), known({"teams": ["emea-sales"]})) == set()
	codes_under(saying("triage"), known({"teams": ["x"], "departments": ["sales"]})) == set()
	codes_under(saying("triage"), known({"teams": ["x"]})) == {"use_case_not_allowed"}
	codes_under(saying("triage"), known({"departments": ["hr"]})) == {"use_case_not_allowed"}
	codes_under(saying("triage"), known({"departments": []})) == {"use_case_not_allowed"}
	codes_under(examples.chat, known({"teams": ["x"]})) == set()
}

test_a_use_case_is_for_its_models if {
	codes_under(saying("triage"), known({"models": ["chat"]})) == set()
	codes_under(saying("triage"), known({"models": ["o1-pro"]})) == {"model_not_for_use_case"}
	codes_under(saying("triage"), known({"models": []})) == {"model_not_for_use_case"}
	codes_under(examples.chat, known({"models": ["o1-pro"]})) == set()
}

test_a_missing_use_case_is_missing if {
	lists := required
	codes_under(object.remove(examples.chat, {"call"}), lists) == unjudged
}

# A use case that is not even absent cannot be judged.
unjudged := {"use_case_missing", "use_case_not_allowed", "model_not_for_use_case"}

test_lost_lists_deny if {
	codes_under(examples.chat, {}) == {"use_case_missing"}
	codes_under(saying("triage"), {}) == {"use_case_unknown", "use_case_not_allowed", "model_not_for_use_case"}
}

test_a_listing_has_no_use_case if {
	codes_under(examples.listing, required) == set()
}

test_empty_input_is_denied_where_a_use_case_is_asked_for if {
	codes_under({}, required) == unjudged
}

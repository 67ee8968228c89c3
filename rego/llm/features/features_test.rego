package llm.features_test

import data.llm.examples_test as examples
import data.llm.features

codes_under(document, lists) := found if {
	denials := features.deny with input as document with data.data as lists
	found := {reason.code | some reason in denials}
}

using := examples.calling({"has_tools": true, "has_images": true})

test_what_every_place_allows_is_not_denied if codes_under(using, examples.lists) == set()

test_each_place_can_forbid if {
	every lists in examples.at_each_place({"tools": false}) {
		codes_under(using, lists) == {"tools_not_allowed"}
		codes_under(examples.chat, lists) == set()
	}
	every lists in examples.at_each_place({"images": false}) {
		codes_under(using, lists) == {"images_not_allowed"}
	}
}

test_a_team_cannot_allow_what_its_department_forbids if {
	lists := examples.with_list("places", {
		"departments": {"sales": {"tools": false}},
		"teams": {"emea-sales": {"tools": true}},
	})
	codes_under(using, lists) == {"tools_not_allowed"}
}

test_other_places_do_not_bind if {
	lists := examples.with_list("places", {"departments": {"hr": {"tools": false}}, "teams": {"core": {"tools": false}}})
	codes_under(using, lists) == set()
}

test_only_yes_is_leave if {
	every entry in [null, "true", 1] {
		codes_under(using, examples.at_team({"images": entry})) == {"images_not_allowed"}
	}
}

test_an_unknown_use_counts_as_use if {
	every use in [null, "no", 0] {
		codes_under(examples.calling({"has_tools": use}), examples.with_list("places", {"default": {"tools": false}})) == {"tools_not_allowed"}
	}
}

test_lost_lists_deny if {
	codes_under(using, {}) == {"tools_not_allowed", "images_not_allowed"}
	codes_under(examples.chat, {}) == set()
}

test_a_listing_uses_nothing if codes_under(examples.listing, examples.with_list("places", {"default": {"tools": false}})) == set()

test_empty_input_is_denied_where_something_is_forbidden if {
	codes_under({}, examples.with_list("places", {"default": {"tools": false}})) == {"tools_not_allowed"}
	codes_under({}, examples.lists) == set()
}

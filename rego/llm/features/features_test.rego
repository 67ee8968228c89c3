package llm.features_test

import data.llm.examples_test as examples
import data.llm.features

codes_under(document, lists) := found if {
	denials := features.deny with input as document with data.data as lists
	found := {reason.code | some reason in denials}
}

forbidding(feature, place) := examples.with_list("features", {feature: place})

using := examples.calling({"has_tools": true, "has_images": true})

test_what_every_place_allows_is_not_denied if codes_under(using, examples.lists) == set()

test_each_place_can_forbid_tools if {
	every place in [
		{"default": false},
		{"organisations": {"acme": false}},
		{"departments": {"sales": false}},
		{"teams": {"emea-sales": false}},
	] {
		codes_under(using, forbidding("tools", place)) == {"tools_not_allowed"}
		codes_under(using, forbidding("images", place)) == {"images_not_allowed"}
		codes_under(examples.chat, forbidding("tools", place)) == set()
	}
}

test_a_team_cannot_allow_what_its_department_forbids if {
	place := {"departments": {"sales": false}, "teams": {"emea-sales": true}}
	codes_under(using, forbidding("tools", place)) == {"tools_not_allowed"}
}

test_other_places_do_not_bind if {
	codes_under(using, forbidding("tools", {"departments": {"hr": false}, "teams": {"x": false}})) == set()
}

test_only_yes_is_leave if {
	every entry in [null, "true", 1] {
		codes_under(using, forbidding("images", {"teams": {"emea-sales": entry}})) == {"images_not_allowed"}
	}
}

test_an_unknown_use_counts_as_use if {
	every use in [null, "no", 0] {
		codes_under(examples.calling({"has_tools": use}), forbidding("tools", {"default": false})) == {"tools_not_allowed"}
	}
}

test_lost_lists_deny if {
	codes_under(using, {}) == {"tools_not_allowed", "images_not_allowed"}
	codes_under(examples.chat, {}) == set()
}

test_a_listing_uses_nothing if codes_under(examples.listing, forbidding("tools", {"default": false})) == set()

test_empty_input_is_denied_where_something_is_forbidden if {
	codes_under({}, forbidding("tools", {"default": false})) == {"tools_not_allowed"}
	codes_under({}, examples.lists) == set()
}

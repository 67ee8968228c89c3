package llm.precedence_test

import data.llm.examples_test as examples
import data.llm.precedence

whole := {"places": {
	"default": {"x": 1, "y": null},
	"organisations": {"acme": {"x": 2}, "other": {"x": 20}},
	"departments": {"sales": {"x": 3}, "hr": {"x": 30}},
	"teams": {"emea-sales": {"x": 4, "y": false}, "core": {"x": 40}},
	"reading": {"x": "tighten", "y": "override"},
}}

said(lists, setting) := values if {
	values := precedence.said(setting) with input as examples.chat with data.data as lists
}

nearest(lists, setting) := value if {
	value := precedence.nearest(setting) with input as examples.chat with data.data as lists
}

holding(lists, setting) := values if {
	values := precedence.holding(setting) with input as examples.chat with data.data as lists
}

without(levels) := {"places": object.remove(whole.places, levels)}

test_every_place_is_heard_the_widest_first if {
	said(whole, "x") == [1, 2, 3, 4]
	said(without({"teams", "organisations"}), "x") == [1, 3]
	said(without({"teams", "organisations", "departments"}), "x") == [1]
}

test_places_that_are_silent_are_passed_over if said(whole, "y") == [null, false]

test_the_narrowest_place_overrides if {
	nearest(whole, "x") == 4
	nearest(without({"teams"}), "x") == 3
	nearest(without({"teams", "departments"}), "x") == 2
	nearest(without({"teams", "departments", "organisations"}), "x") == 1
	nearest(whole, "y") == false
}

test_the_list_says_how_it_is_read if {
	holding(whole, "x") == [1, 2, 3, 4]
	holding(whole, "y") == [false]
}

test_a_setting_without_a_reading_or_with_another_holds_nothing if {
	not holding(without({"reading"}), "x")
	not holding(object.union(whole, {"places": {"reading": {"x": "loosen"}}}), "x")
}

test_a_setting_on_which_the_default_is_silent_is_unknown if {
	not said(whole, "z")
	not nearest(whole, "z")
	not said(without({"default"}), "x")
}

test_empty_input_is_bound_by_the_default if {
	values := precedence.said("x") with input as {} with data.data as whole
	values == [1]
}

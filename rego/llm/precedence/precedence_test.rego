package llm.precedence_test

import data.llm.examples_test as examples
import data.llm.precedence

nearest(list) := entry if {
	entry := precedence.nearest(list) with input as examples.chat
}

binding(list) := entries if {
	entries := precedence.binding(list) with input as examples.chat
}

whole := {
	"default": 1,
	"organisations": {"acme": 2, "other": 20},
	"departments": {"sales": 3, "hr": 30},
	"teams": {"emea-sales": 4, "x": 40},
}

test_the_narrower_place_stands_above_the_wider if {
	nearest(whole) == 4
	nearest(object.remove(whole, {"teams"})) == 3
	nearest(object.remove(whole, {"teams", "departments"})) == 2
	nearest(object.remove(whole, {"teams", "departments", "organisations"})) == 1
}

test_an_entry_may_be_null_or_false if {
	nearest(object.union(whole, {"teams": {"emea-sales": null}})) == null
	nearest(object.union(whole, {"teams": {"emea-sales": false}})) == false
}

test_all_that_bind_come_with_the_default_first if {
	binding(whole)[0] == 1
	{entry | some entry in binding(whole)} == {1, 2, 3, 4}
	binding({"default": null, "departments": {}, "teams": {}}) == [null]
}

test_without_a_default_nothing_is_known_to_bind if {
	not binding(object.remove(whole, {"default"}))
	not nearest({"departments": {}, "teams": {}})
}

test_empty_input_is_bound_by_the_default if {
	entries := precedence.binding(whole) with input as {}
	entries == [1]
	entry := precedence.nearest(whole) with input as {}
	entry == 1
}

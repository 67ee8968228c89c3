package llm.hours_test

import data.llm.examples_test as examples
import data.llm.hours

codes_under(document, lists) := found if {
	denials := hours.deny with input as document with data.data as lists
	found := {reason.code | some reason in denials}
}

open(windows) := examples.at_team({"hours": windows})

at(weekday, hour, minute) := object.union(examples.chat, {"time": object.union(
	examples.time,
	{"local": {"weekday": weekday, "hour": hour, "minute": minute}},
)})

office := open([{"days": ["monday", "friday"], "from_hour": 7.5, "until_hour": 19}])

test_without_windows_it_is_always_open if codes_under(examples.chat, examples.lists) == set()

test_a_window_opens_and_closes_to_the_minute if {
	codes_under(at("friday", 7, 29), office) == {"outside_hours"}
	codes_under(at("friday", 7, 30), office) == set()
	codes_under(at("monday", 18, 59), office) == set()
	codes_under(at("monday", 19, 0), office) == {"outside_hours"}
}

test_a_window_is_open_on_its_days if codes_under(at("sunday", 12, 0), office) == {"outside_hours"}

test_one_of_several_windows_is_enough if {
	shifts := open([
		{"days": ["friday"], "from_hour": 22, "until_hour": 24},
		{"days": ["saturday"], "from_hour": 0, "until_hour": 6},
	])
	codes_under(at("friday", 23, 59), shifts) == set()
	codes_under(at("saturday", 0, 0), shifts) == set()
	codes_under(at("saturday", 23, 0), shifts) == {"outside_hours"}
}

test_every_place_must_be_open if {
	lists := examples.with_list("places", {
		"default": {"hours": [{"days": ["friday"], "from_hour": 0, "until_hour": 24}]},
		"departments": {"sales": {"hours": [{"days": ["monday"], "from_hour": 0, "until_hour": 24}]}},
		"teams": {"emea-sales": {"hours": null}},
	})
	codes_under(at("friday", 12, 0), lists) == {"outside_hours"}
	codes_under(at("monday", 12, 0), lists) == {"outside_hours"}
}

test_broken_windows_are_never_open if {
	every windows in [[], "always", true, [{}], [{"days": ["friday"], "from_hour": 0}]] {
		codes_under(at("friday", 12, 0), open(windows)) == {"outside_hours"}
	}
}

test_without_a_time_no_window_is_open if {
	codes_under(object.remove(examples.chat, {"time"}), office) == {"outside_hours"}
}

test_lost_lists_deny if codes_under(examples.chat, {}) == {"outside_hours"}

test_a_listing_is_not_bound_by_hours if codes_under(examples.listing, examples.with_list("places", {"default": {"hours": []}})) == set()

test_empty_input_is_denied_where_hours_are_set if {
	codes_under({}, examples.with_list("places", {"default": {"hours": []}})) == {"outside_hours"}
	codes_under({}, examples.lists) == set()
}

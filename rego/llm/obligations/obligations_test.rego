package llm.obligations_test

import data.llm.examples_test as examples
import data.llm.obligations

bound(lists) := found if {
	found := obligations.all with input as examples.chat with data.data as lists
}

# What the default, the department and the team say of a setting; `reading` as it is given.
saying(setting, reading, values) := object.union(
	object.remove(examples.lists, {"places"}),
	{"places": {
		"default": object.union(object.remove(examples.lists.places["default"], {setting}), {setting: values[0]}),
		"organisations": {},
		"departments": {"sales": {setting: values[1]}, "hr": {setting: "never"}},
		"teams": {"emea-sales": {setting: values[2]}, "core": {setting: "never"}},
		"reading": object.union(examples.lists.places.reading, {setting: reading}),
	}},
)

cap(lists) := bound(lists).max_output_tokens

test_without_entries_nothing_is_to_be_done if bound(examples.lists) == examples.no_obligations

test_the_default_binds_whom_no_entry_names if {
	lists := examples.with_list("places", {
		"default": {"max_output_tokens": 512},
		"departments": {"hr": {"max_output_tokens": 1}},
		"teams": {"core": {"max_output_tokens": 2}},
	})
	cap(lists) == 512
}

test_the_narrowest_cap_wins if {
	every lists in examples.at_each_place({"max_output_tokens": 256}) { cap(lists) == 256 }
	cap(saying("max_output_tokens", "tighten", [512, 256, 1024])) == 1024
	cap(saying("max_output_tokens", "tighten", [512, 256, null])) == null
}

test_the_narrowest_cache_wins if {
	kept := {"seconds": 60, "scope": "department"}
	nothing := {"seconds": 0, "scope": "team"}
	open := bound(saying("cache", "tighten", [nothing, nothing, kept]))
	{"seconds": open.cache_seconds, "scope": open.cache_scope} == kept
	shut := bound(saying("cache", "tighten", [kept, kept, nothing]))
	{"seconds": shut.cache_seconds, "scope": shut.cache_scope} == nothing
}

test_a_setting_that_is_lost_leaves_obligations_undefined if {
	every setting in ["max_output_tokens", "cache", "pii", "guard", "log"] {
		places := object.union(
			object.remove(examples.lists.places, {"default"}),
			{"default": object.remove(examples.lists.places["default"], {setting})},
		)
		lost := object.union(object.remove(examples.lists, {"places"}), {"places": places})
		not bound(lost)
	}
	not bound({})
}

pii(reading, default_entry, department, team) := bound(saying("pii", reading, [default_entry, department, team])).pii

screening(input_mode, output_mode, restore, kinds) := {
	"input": input_mode,
	"output": output_mode,
	"restore": restore,
	"kinds": kinds,
}

off := screening("off", "off", false, [])

test_a_team_cannot_loosen_what_is_done_about_personal_data if {
	strict := screening("block", "redact", true, [])
	pii("tighten", strict, off, off) == strict
	pii("tighten", off, strict, off) == strict
}

test_a_team_can_tighten_what_is_done_about_personal_data if {
	lax := screening("redact", "off", true, ["EMAIL_ADDRESS"])
	strict := screening("off", "redact", true, ["IBAN_CODE"])
	pii("tighten", lax, off, strict) == screening("redact", "redact", true, ["EMAIL_ADDRESS", "IBAN_CODE"])
	pii("tighten", lax, screening("block", "off", true, []), strict) == screening("block", "redact", true, [])
}

test_words_come_back_only_where_all_that_screen_say_so if {
	lax := screening("redact", "off", true, [])
	pii("tighten", lax, off, off).restore == true
	pii("tighten", lax, off, screening("redact", "off", false, [])).restore == false
	pii("tighten", off, off, screening("off", "off", true, [])).restore == false
}

test_where_the_list_says_so_the_narrowest_overrides if {
	strict := screening("block", "block", false, [])
	pii("override", strict, strict, off) == off
}

guard(reading, default_entry, department, team) := bound(saying("guard", reading, [default_entry, department, team])).guard

test_a_team_cannot_exchange_or_drop_a_guard if {
	guard("tighten", "strict", "", "") == "strict"
	guard("tighten", "strict", "lax", "lax") == "strict"
	guard("tighten", "", "strict", "lax") == "strict"
}

test_a_team_can_add_a_guard if {
	guard("tighten", "", "", "own") == "own"
	guard("tighten", "", "", "") == ""
}

test_where_the_list_says_so_a_team_chooses_its_guard if {
	guard("override", "strict", "strict", "lax") == "lax"
	guard("override", "strict", "strict", "") == ""
}

kept(reading, default_entry, department, team) := bound(saying("log", reading, [default_entry, department, team])).log

keeping(level, days) := {"level": level, "keep_days": days}

test_a_team_cannot_have_more_kept_than_the_places_above if {
	kept("tighten", keeping("digest", 30), keeping("full", 90), keeping("full", 365)) == keeping("digest", 30)
}

test_a_team_can_have_less_kept if {
	kept("tighten", keeping("full", 90), keeping("redacted", 60), keeping("none", 70)) == keeping("none", 60)
	kept("tighten", keeping("full", 9), keeping("full", 10), keeping("redacted", 100)) == keeping("redacted", 9)
	kept("tighten", keeping("full", 9), keeping("full", 9), keeping("full", 9)) == keeping("full", 9)
}

test_where_the_list_says_so_a_desk_keeps_its_words if {
	kept("override", keeping("digest", 30), keeping("digest", 30), keeping("full", 2555)) == keeping("full", 2555)
}

test_places_are_read_in_no_third_way if {
	every setting in ["pii", "guard", "log"] {
		not bound(examples.with_list("places", {"reading": {setting: "loosen"}}))
	}
}

test_empty_input_gets_the_defaults if {
	found := obligations.all with input as {} with data.data as examples.lists
	found == examples.no_obligations
}

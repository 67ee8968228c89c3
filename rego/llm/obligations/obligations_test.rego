package llm.obligations_test

import data.llm.examples_test as examples
import data.llm.obligations

bound(name, list) := found if {
	found := obligations.all with input as examples.chat
		with data.data as object.union(object.remove(examples.lists, {"obligations"}), {"obligations": object.union(
			object.remove(examples.lists.obligations, {name}),
			{name: list},
		)})
}

cap(caps) := bound("max_output_tokens", caps).max_output_tokens

test_without_entries_there_is_no_cap if {
	cap({"default": null, "departments": {}, "teams": {}}) == null
}

test_the_default_binds_whom_no_entry_names if {
	cap({"default": 512, "departments": {"hr": 1}, "teams": {"x": 2}}) == 512
}

test_the_departments_entry_wins_over_the_default if {
	cap({"default": 512, "departments": {"sales": 1024}, "teams": {}}) == 1024
}

test_the_organisations_entry_wins_over_the_default_and_no_other if {
	cap({"default": 512, "organisations": {"acme": 64}, "departments": {}, "teams": {}}) == 64
	cap({"default": 512, "organisations": {"acme": 64}, "departments": {"sales": 1024}, "teams": {}}) == 1024
}

test_the_teams_entry_wins_over_all if {
	cap({"default": 512, "departments": {"sales": 1024}, "teams": {"emea-sales": 256}}) == 256
}

test_an_entry_can_lift_the_default if {
	cap({"default": 512, "departments": {}, "teams": {"emea-sales": null}}) == null
}

test_a_lost_list_leaves_obligations_undefined if {
	every name in object.keys(examples.lists.obligations) {
		not bound(name, {})
	}
}

cached(lists) := {"seconds": found.cache_seconds, "scope": found.cache_scope} if {
	found := bound("cache", lists)
}

nothing := {"seconds": 0, "scope": "team"}

test_without_entries_nothing_is_kept if {
	cached({"default": nothing, "departments": {}, "teams": {}}) == nothing
}

test_the_default_keeps_for_whom_no_entry_names if {
	entry := {"seconds": 60, "scope": "user"}
	cached({"default": entry, "departments": {"hr": nothing}, "teams": {"x": nothing}}) == entry
}

test_the_departments_cache_wins_over_the_default if {
	entry := {"seconds": 60, "scope": "department"}
	cached({"default": nothing, "departments": {"sales": entry}, "teams": {}}) == entry
}

test_the_teams_cache_wins_over_both if {
	entry := {"seconds": 60, "scope": "department"}
	lists := {"default": entry, "departments": {"sales": entry}, "teams": {"emea-sales": nothing}}
	cached(lists) == nothing
}

pii(precedence, default_entry, department, team) := bound("pii", {
	"precedence": precedence,
	"default": default_entry,
	"departments": {"sales": department},
	"teams": {"emea-sales": team},
}).pii

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

guard(precedence, default_entry, department, team) := bound("guard", {
	"precedence": precedence,
	"default": default_entry,
	"departments": {"sales": department},
	"teams": {"emea-sales": team},
}).guard

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

kept(precedence, default_entry, department, team) := bound("log", {
	"precedence": precedence,
	"default": default_entry,
	"departments": {"sales": department},
	"teams": {"emea-sales": team},
}).log

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
	every name in ["pii", "guard", "log"] {
		not bound(name, object.union(examples.lists.obligations[name], {"precedence": "loosen"}))
	}
}

test_empty_input_gets_the_defaults if {
	found := obligations.all with input as {} with data.data as examples.lists
	found == examples.no_obligations
}

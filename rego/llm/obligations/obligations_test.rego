package llm.obligations_test

import data.llm.examples_test as examples
import data.llm.obligations

cap(caps) := capped if {
	capped := obligations.max_output_tokens with input as examples.chat
		with data.data.obligations.max_output_tokens as caps
}

test_without_entries_there_is_no_cap if {
	cap({"default": null, "departments": {}, "teams": {}}) == null
}

test_the_default_binds_whom_no_entry_names if {
	cap({"default": 512, "departments": {"hr": 1}, "teams": {"x": 2}}) == 512
}

test_the_departments_entry_wins_over_the_default if {
	cap({"default": 512, "departments": {"sales": 1024}, "teams": {}}) == 1024
}

test_the_teams_entry_wins_over_both if {
	cap({"default": 512, "departments": {"sales": 1024}, "teams": {"emea-sales": 256}}) == 256
}

test_an_entry_can_lift_the_default if {
	cap({"default": 512, "departments": {}, "teams": {"emea-sales": null}}) == null
}

# Such lists deny the call in llm.request.
test_broken_caps_are_no_cap if {
	cap({}) == null
}

test_empty_input_gets_the_default if {
	capped := obligations.max_output_tokens with input as {}
		with data.data.obligations.max_output_tokens as {"default": 512, "departments": {"sales": 1}, "teams": {"emea-sales": 2}}
	capped == 512
}

cached(lists) := {"seconds": seconds, "scope": scope} if {
	seconds := obligations.cache_seconds with input as examples.chat
		with data.data.obligations.cache as lists
	scope := obligations.cache_scope with input as examples.chat
		with data.data.obligations.cache as lists
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

# Such lists deny the call in llm.request.
test_broken_lists_keep_nothing if {
	every lists in [{}, null, {"default": {"seconds": 60}, "departments": {}, "teams": {}}] {
		cached(lists) == nothing
	}
}

test_empty_input_gets_the_default_cache if {
	lists := {"default": nothing, "departments": {"sales": {}}, "teams": {"emea-sales": {}}}
	seconds := obligations.cache_seconds with input as {}
		with data.data.obligations.cache as lists
	seconds == 0
}

package llm.config_test

import data.llm.config
import data.llm.examples_test as examples

complete(lists) if config.complete with data.data as lists

with_caps(caps) := object.union(
	object.remove(examples.lists, {"obligations"}),
	{"obligations": {"max_output_tokens": caps, "cache": examples.lists.obligations.cache}},
)

with_cache(lists) := object.union(
	object.remove(examples.lists, {"obligations"}),
	{"obligations": {
		"max_output_tokens": examples.lists.obligations.max_output_tokens,
		"cache": lists,
	}},
)

test_the_shipped_lists_are_complete if config.complete

test_the_shipped_revision_is_named if config.revision != ""

test_the_tests_lists_are_complete if complete(examples.lists)

test_an_empty_document_is_not_complete if not complete({})

test_each_list_is_needed if {
	every part in ["revision", "models", "budgets", "obligations"] {
		lists := object.remove(examples.lists, {part})
		not complete(lists)
	}
}

test_a_revision_is_a_text if {
	every revision in ["", 20261120, null] {
		lists := object.union(examples.lists, {"revision": revision})
		not complete(lists)
	}
}

test_restricted_models_are_an_object if {
	every restricted in [[], "o1-pro", null] {
		lists := object.union(examples.lists, {"models": {"restricted": restricted}})
		not complete(lists)
	}
}

test_soft_thresholds_are_numbers if {
	every soft in [{"used_fraction": "0.9"}, {"max_usd_per_million_output": null}] {
		lists := object.union(examples.lists, {"budgets": {"soft": soft}})
		not complete(lists)
	}
}

test_caps_are_whole_tokens_or_null if {
	every cap in [null, 1, 4096] {
		lists := with_caps({"default": cap, "departments": {"sales": cap}, "teams": {"a": cap}})
		complete(lists)
	}
}

test_other_caps_are_refused if {
	every cap in [0, -1, 1.5, "1024", true] {
		every caps in [
			{"default": cap, "departments": {}, "teams": {}},
			{"default": null, "departments": {"sales": cap}, "teams": {}},
			{"default": null, "departments": {}, "teams": {"a": cap}},
		] {
			lists := with_caps(caps)
			not complete(lists)
		}
	}
}

test_caps_need_all_three_parts if {
	every part in ["default", "departments", "teams"] {
		lists := with_caps(object.remove({"default": null, "departments": {}, "teams": {}}, {part}))
		not complete(lists)
	}
}

test_answers_are_kept_for_whole_seconds_up_to_a_month if {
	every seconds in [0, 1, 2678400] {
		every scope in ["user", "project", "team", "department", "organisation"] {
			entry := {"seconds": seconds, "scope": scope}
			lists := with_cache({"default": entry, "departments": {"sales": entry}, "teams": {"a": entry}})
			complete(lists)
		}
	}
}

test_other_cache_entries_are_refused if {
	every entry in [
		{"seconds": -1, "scope": "team"},
		{"seconds": 1.5, "scope": "team"},
		{"seconds": "60", "scope": "team"},
		{"seconds": 2678401, "scope": "team"},
		{"seconds": 60, "scope": "everybody"},
		{"seconds": 60},
		{"scope": "team"},
		60,
		null,
	] {
		good := {"seconds": 0, "scope": "team"}
		every cache in [
			{"default": entry, "departments": {}, "teams": {}},
			{"default": good, "departments": {"sales": entry}, "teams": {}},
			{"default": good, "departments": {}, "teams": {"a": entry}},
		] {
			lists := with_cache(cache)
			not complete(lists)
		}
	}
}

test_the_cache_needs_all_three_parts if {
	every part in ["default", "departments", "teams"] {
		whole := {"default": {"seconds": 0, "scope": "team"}, "departments": {}, "teams": {}}
		lists := with_cache(object.remove(whole, {part}))
		not complete(lists)
	}
}

package llm.config_test

import data.llm.config
import data.llm.examples_test as examples

complete(lists) if config.complete with input as examples.chat with data.data as lists

with_obligation(name, list) := object.union(object.remove(examples.lists, {"obligations"}), {"obligations": object.union(
	object.remove(examples.lists.obligations, {name}),
	{name: list},
)})

test_the_shipped_lists_are_complete if config.complete with input as examples.chat

test_the_shipped_revision_is_named if config.revision != ""

test_the_tests_lists_are_complete if complete(examples.lists)

test_an_empty_document_is_not_complete if not complete({})

test_each_list_is_needed if {
	every part in object.keys(examples.lists) {
		lists := object.remove(examples.lists, {part})
		not complete(lists)
	}
}

test_each_part_of_a_list_is_needed if {
	every list in ["obligations", "data_classes", "residency", "agreements", "features", "hours", "sources", "use_cases", "approvals"] {
		every part in object.keys(examples.lists[list]) {
			lists := object.union(object.remove(examples.lists, {list}), {list: object.remove(examples.lists[list], {part})})
			not complete(lists)
		}
	}
}

# A caller is bound by the defaults then, and nobody is known for whom anything else could hold.
test_empty_input_leaves_the_lists_complete if config.complete with input as {} with data.data as examples.lists

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

# A list by place with the entry at one of the places of the examples' caller.
at_each_place(good, entry) := [
	{"default": entry, "departments": {}, "teams": {}},
	{"default": good, "departments": {"sales": entry}, "teams": {}},
	{"default": good, "departments": {"sales": good}, "teams": {"emea-sales": entry}},
	{"default": good, "organisations": {"acme": entry}, "departments": {}, "teams": {}},
]

test_caps_are_whole_tokens_or_null if {
	every cap in [null, 1, 4096] {
		every caps in at_each_place(null, cap) {
			lists := with_obligation("max_output_tokens", caps)
			complete(lists)
		}
	}
}

test_other_caps_are_refused if {
	every cap in [0, -1, 1.5, "1024", true] {
		every caps in at_each_place(null, cap) {
			lists := with_obligation("max_output_tokens", caps)
			not complete(lists)
		}
	}
}

test_answers_are_kept_for_whole_seconds_up_to_a_month if {
	every seconds in [0, 1, 2678400] {
		every scope in ["user", "project", "team", "department", "organisation"] {
			every cache in at_each_place({"seconds": 0, "scope": "team"}, {"seconds": seconds, "scope": scope}) {
				lists := with_obligation("cache", cache)
				complete(lists)
			}
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
		every cache in at_each_place({"seconds": 0, "scope": "team"}, entry) {
			lists := with_obligation("cache", cache)
			not complete(lists)
		}
	}
}

test_other_rules_on_personal_data_are_refused if {
	every change in [
		{"input": "encrypt"},
		{"output": null},
		{"restore": "yes"},
		{"kinds": "EMAIL_ADDRESS"},
		{"kinds": [1]},
	] {
		every list in at_each_place(examples.no_pii, object.union(examples.no_pii, change)) {
			lists := with_obligation("pii", object.union(list, {"precedence": "tighten"}))
			not complete(lists)
		}
	}
}

test_a_guard_is_a_name if {
	every list in at_each_place("", null) {
		lists := with_obligation("guard", object.union(list, {"precedence": "tighten"}))
		not complete(lists)
	}
}

test_other_levels_of_keeping_are_refused if {
	every entry in [
		{"level": "everything", "keep_days": 1},
		{"level": "full", "keep_days": -1},
		{"level": "full", "keep_days": 1.5},
		{"level": "full", "keep_days": "30"},
		null,
	] {
		every list in at_each_place({"level": "none", "keep_days": 0}, entry) {
			lists := with_obligation("log", object.union(list, {"precedence": "tighten"}))
			not complete(lists)
		}
	}
}

test_places_are_read_in_one_of_two_ways if {
	every name in ["pii", "guard", "log"] {
		every precedence in ["tighten", "override"] {
			lists := with_obligation(name, object.union(examples.lists.obligations[name], {"precedence": precedence}))
			complete(lists)
		}
		every precedence in ["loosen", "", null] {
			lists := with_obligation(name, object.union(examples.lists.obligations[name], {"precedence": precedence}))
			not complete(lists)
		}
	}
}

test_named_classes_are_in_the_order if {
	every name in ["unlabelled", "clearance_from"] {
		every class in [null, "public", "restricted"] {
			lists := examples.with_list("data_classes", {name: class})
			complete(lists)
		}
		every class in ["secret", "", 1] {
			lists := examples.with_list("data_classes", {name: class})
			not complete(lists)
		}
	}
}

test_an_amount_is_a_number_or_null if {
	every amount in [null, 0, 1.5] {
		lists := examples.with_list("approvals", {"above_usd": amount})
		complete(lists)
	}
	every amount in ["1", true] {
		lists := examples.with_list("approvals", {"above_usd": amount})
		not complete(lists)
	}
}

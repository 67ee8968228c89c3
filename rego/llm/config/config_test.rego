package llm.config_test

import data.llm.config
import data.llm.examples_test as examples

complete(lists) if config.complete with input as examples.chat with data.data as lists

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

test_empty_input_leaves_the_lists_complete if config.complete with input as {} with data.data as examples.lists

test_a_revision_is_a_text if {
	every revision in ["", 20261120, null] {
		lists := object.union(examples.lists, {"revision": revision})
		not complete(lists)
	}
}

test_soft_thresholds_are_numbers if {
	every soft in [{"used_fraction": "0.9"}, {"max_usd_per_million_output": null}] {
		lists := object.union(examples.lists, {"budgets": {"soft": soft}})
		not complete(lists)
	}
}

package llm.reasons_test

import data.llm.reasons

test_a_reason_against_the_call_names_no_deployment if {
	reasons.against_call("a", "llm.x", "Why.", "What to do.") == {
		"code": "a",
		"rule": "llm.x",
		"message": "Why.",
		"solution": "What to do.",
		"deployment": "",
	}
}

test_a_reason_against_a_deployment_names_it if {
	reasons.against_deployment("d", "a", "llm.x", "Why.", "What to do.") == {
		"code": "a",
		"rule": "llm.x",
		"message": "Why.",
		"solution": "What to do.",
		"deployment": "d",
	}
}

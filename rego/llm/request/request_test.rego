package llm.request_test

import data.llm.examples_test as examples
import data.llm.request

codes(document, lists) := found if {
	denials := request.deny with input as document with data.data as lists
	found := {reason.code | some reason in denials}
}

codes_of(document) := codes(document, examples.lists)

test_complete_questions_are_not_denied if {
	codes_of(examples.chat) == set()
	codes_of(examples.listing) == set()
}

test_empty_input_is_denied_for_every_reason if {
	codes_of({}) == {"input_version", "caller_unknown", "operation_not_allowed", "no_candidates"}
}

test_no_input_at_all_is_denied if {
	{reason.code | some reason in request.deny} == {"input_version", "caller_unknown", "operation_not_allowed", "no_candidates"}
}

test_other_versions_are_denied if {
	every version in [0, 2, "1", null, true, [1]] {
		codes_of(object.union(examples.chat, {"version": version})) == {"input_version"}
	}
}

test_callers_without_a_place_are_denied if {
	every part in ["organisation", "department", "team"] {
		every absent in ["", null, 7] {
			caller := object.union(examples.caller, {part: absent})
			codes_of(object.union(examples.chat, {"caller": caller})) == {"caller_unknown"}
		}
		nowhere := object.remove(examples.caller, {part})
		codes_of(object.union(object.remove(examples.chat, {"caller"}), {"caller": nowhere})) == {"caller_unknown"}
	}
}

test_a_missing_caller_is_denied if {
	codes_of(object.remove(examples.chat, {"caller"})) == {"caller_unknown"}
}

test_every_way_to_ask_a_model_is_governed if {
	every operation in ["chat.completions", "completions", "embeddings", "messages", "responses"] {
		call := object.union(examples.call, {"operation": operation})
		codes_of(object.union(examples.chat, {"call": call})) == set()
	}
}

test_other_operations_are_denied if {
	every operation in ["audio.speech", "", null, 1] {
		call := object.union(examples.call, {"operation": operation})
		codes_of(object.union(examples.chat, {"call": call})) == {"operation_not_allowed"}
	}
}

test_a_missing_call_is_denied if {
	codes_of(object.remove(examples.chat, {"call"})) == {"operation_not_allowed"}
}

test_calls_without_candidates_are_denied if {
	every candidates in [[], null, {}, "cheap", [{}], [{"id": ""}], [{"id": 1}], [examples.cheap, {}]] {
		codes_of(object.union(object.remove(examples.chat, {"candidates"}), {"candidates": candidates})) == {"no_candidates"}
	}
	codes_of(object.remove(examples.chat, {"candidates"})) == {"no_candidates"}
}

test_listing_without_models_is_denied if {
	codes_of(object.remove(examples.listing, {"models"})) == {"no_candidates"}
	codes_of(object.union(examples.listing, {"models": null})) == {"no_candidates"}
}

test_listing_nothing_is_a_complete_question if {
	codes_of(object.union(examples.listing, {"models": []})) == set()
}

test_lost_lists_are_denied if {
	every part in ["revision", "models", "budgets", "places", "residency", "approvals"] {
		codes(examples.chat, object.remove(examples.lists, {part})) == {"policy_data_incomplete"}
	}
	codes(examples.chat, {}) == {"policy_data_incomplete"}
}

package llm.data_classes_test

import data.llm.data_classes
import data.llm.examples_test as examples

codes_under(document, lists) := found if {
	denials := data_classes.deny with input as document with data.data as lists
	found := {reason.code | some reason in denials}
}

codes(document) := codes_under(document, examples.lists)

labelled(labels) := examples.calling({"data_labels": labels})

cleared(clearance, labels) := object.union(
	labelled(labels),
	{"caller": object.union(examples.caller, {"clearance": clearance})},
)

classes(document, lists) := found if {
	found := data_classes.present with input as document with data.data as lists
}

test_a_call_without_labels_is_not_denied if codes(examples.chat) == set()

test_known_labels_and_names_of_classes_are_not_denied if {
	codes(labelled(["personal", "press", "internal"])) == set()
}

test_one_unknown_label_denies if {
	codes(labelled(["personal", "secrets"])) == {"data_label_unknown"}
	codes(labelled([""])) == {"data_label_unknown"}
}

test_labels_that_are_none_deny if {
	every labels in [null, "personal", {}, [null], [1], [["personal"]]] {
		codes(labelled(labels)) == {"data_label_unknown"}
	}
	codes(object.remove(examples.chat, {"call"})) == {"data_label_unknown"}
}

test_a_label_of_a_class_that_is_none_denies if {
	lists := examples.with_list("data_classes", {"labels": {"odd": "no-class"}})
	"data_label_unknown" in codes_under(labelled(["odd"]), lists)
}

test_some_classes_need_clearance if {
	codes(labelled(["health"])) == {"clearance_missing"}
	codes(cleared("confidential", ["health"])) == {"clearance_missing"}
	codes(cleared("secret", ["health"])) == {"clearance_missing"}
	codes(cleared("restricted", ["health"])) == set()
}

test_one_label_that_needs_clearance_is_enough if {
	codes(labelled(["press", "health"])) == {"clearance_missing"}
}

test_clearance_for_a_higher_class_is_clearance_for_a_lower_one if {
	lists := examples.with_list("data_classes", {"clearance_from": "internal"})
	codes_under(cleared("restricted", ["personal"]), lists) == set()
	codes_under(cleared("internal", ["personal"]), lists) == {"clearance_missing"}
	codes_under(cleared(null, ["public"]), lists) == set()
}

test_no_class_needs_clearance_where_none_is_named if {
	codes_under(labelled(["health"]), examples.with_list("data_classes", {"clearance_from": null})) == set()
}

test_a_call_without_labels_is_taken_for_what_compliance_says if {
	lists := examples.with_list("data_classes", {"unlabelled": "restricted"})
	codes_under(examples.chat, lists) == {"clearance_missing"}
	classes(examples.chat, lists) == {"restricted"}
	classes(labelled(["press"]), lists) == {"public"}
	classes(examples.chat, examples.lists) == set()
}

test_lost_lists_deny_a_label if {
	"data_label_unknown" in codes_under(labelled(["personal"]), {})
}

test_the_reason_says_what_to_do if {
	denials := data_classes.deny with input as labelled(["health"]) with data.data as examples.lists
	denials == {{
		"code": "clearance_missing",
		"rule": "llm.data_classes",
		"message": "You are not cleared for data of this class.",
		"solution": "Ask the platform team for clearance, or leave this data out.",
		"deployment": "",
	}}
}

test_a_listing_sends_no_data if codes(examples.listing) == set()

test_empty_input_is_denied if codes({}) == {"data_label_unknown"}

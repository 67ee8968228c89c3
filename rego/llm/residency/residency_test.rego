package llm.residency_test

import data.llm.examples_test as examples
import data.llm.residency

barred_under(document, lists) := found if {
	denials := residency.deny with input as document with data.data as lists
	found := {reason.deployment | some reason in denials}
}

barred(document) := barred_under(document, examples.lists)

at(region) := object.union(examples.cheap, {"id": region, "region": region})

places := ["eu-west-1", "eu-central-1", "us-east-1", "ap-south-1", "unknown"]

labelled(labels) := object.union(examples.calling({"data_labels": labels}), {"candidates": [at(place) | some place in places]})

test_a_call_without_labels_may_go_anywhere if barred(labelled([])) == set()

test_a_class_of_everywhere_may_go_to_unknown_regions if barred(labelled(["press"])) == set()

test_labelled_data_stays_in_the_regions_of_its_class if {
	barred(labelled(["personal"])) == {"us-east-1", "ap-south-1", "unknown"}
	barred(labelled(["internal"])) == {"ap-south-1", "unknown"}
}

test_every_label_must_permit_the_region if {
	barred(labelled(["press", "internal", "personal"])) == {"us-east-1", "ap-south-1", "unknown"}
}

test_a_label_can_narrow_its_class if {
	barred(labelled(["health"])) == {"eu-west-1", "us-east-1", "ap-south-1", "unknown"}
}

test_a_class_without_an_entry_may_go_nowhere if {
	lists := object.union(examples.lists, {"residency": object.remove(examples.lists.residency, {"classes"})})
	without := object.union(
		object.remove(examples.lists, {"residency"}),
		{"residency": object.union(object.remove(examples.lists.residency, {"classes"}), {"classes": {"public": ["*"]}})},
	)
	barred_under(labelled(["personal"]), without) == {place | some place in places}
	barred_under(labelled(["personal"]), object.remove(lists, {"residency"})) == {place | some place in places}
}

test_a_group_that_is_not_there_holds_no_region if {
	lists := examples.with_list("residency", {"classes": {"confidential": ["mars"]}})
	barred_under(labelled(["personal"]), lists) == {place | some place in places}
}

test_a_deployment_without_a_region_is_nowhere if {
	nowhere := object.remove(at("x"), {"region"})
	document := object.union(labelled(["personal"]), {"candidates": [nowhere, object.union(at("y"), {"region": null})]})
	barred(document) == {"x", "y"}
}

test_labels_that_are_none_bar_every_deployment if {
	every labels in [null, "personal", 7] {
		barred(labelled(labels)) == {place | some place in places}
	}
	barred(object.remove(labelled([]), {"call"})) == {place | some place in places}
}

test_the_reason_says_what_to_do if {
	document := object.union(labelled(["personal"]), {"candidates": [at("us-east-1")]})
	denials := residency.deny with input as document with data.data as examples.lists
	denials == {{
		"code": "region_not_allowed",
		"rule": "llm.residency",
		"message": "Data with these labels may not be processed where this deployment is.",
		"solution": "Use a model that is deployed where this data may go, or leave the data out.",
		"deployment": "us-east-1",
	}}
}

# There is nothing to deny in it; llm.request denies it, llm.main permits nothing.
test_empty_input_has_no_deployment_to_deny if barred({}) == set()

package llm.agreements_test

import data.llm.agreements
import data.llm.examples_test as examples

codes_under(document, lists) := found if {
	denials := agreements.deny with input as document with data.data as lists
	found := {reason.code | some reason in denials}
}

codes(document) := codes_under(document, examples.lists)

sent(labels, deployment) := object.union(
	examples.calling({"data_labels": labels}),
	{"candidates": [object.union(examples.cheap, deployment)]},
)

processing(changes) := {"data_processing": object.union(examples.cheap.data_processing, changes)}

now := examples.time.unix

all := {"agreement_missing", "retention_too_long", "trains_on_data", "sub_processor_not_allowed"}

test_data_that_needs_nothing_may_go_to_any_provider if {
	bare := {"agreements": {}, "data_processing": {"retention_days": null, "trains_on_data": null, "sub_processors": null}}
	codes(sent([], bare)) == set()
	codes(sent(["internal"], bare)) == set()
	codes(sent(["press"], bare)) == set()
}

test_a_provider_that_fulfils_the_preset_is_not_denied if codes(sent(["personal"], {})) == set()

test_an_agreement_is_needed if {
	without := object.union(object.remove(sent(["personal"], {}), {"candidates"}), {"candidates": [object.remove(examples.cheap, {"agreements"})]})
	codes(without) == {"agreement_missing"}
	other := {"since_unix": 1, "until_unix": null}
	candidate := object.union(object.remove(examples.cheap, {"agreements"}), {"agreements": {"baa": other}})
	codes(object.union(object.remove(without, {"candidates"}), {"candidates": [candidate]})) == {"agreement_missing"}
}

test_an_agreement_holds_between_its_dates if {
	every dates in [[now, null], [now - 1, now + 1], [1, null]] {
		codes(sent(["personal"], {"agreements": {"dpa": {"since_unix": dates[0], "until_unix": dates[1]}}})) == set()
	}
	every dates in [[now + 1, null], [1, now], [1, now - 1], [null, null], ["1", null], [1, "2"]] {
		codes(sent(["personal"], {"agreements": {"dpa": {"since_unix": dates[0], "until_unix": dates[1]}}})) == {"agreement_missing"}
	}
}

test_retention_is_at_most_what_the_preset_says if {
	codes(sent(["personal"], processing({"retention_days": 0}))) == set()
	codes(sent(["personal"], processing({"retention_days": 30}))) == set()
	every days in [31, null, "0"] {
		codes(sent(["personal"], processing({"retention_days": days}))) == {"retention_too_long"}
	}
}

test_training_is_ruled_out_only_by_a_no if {
	every trains in [true, null, 0, "no"] {
		codes(sent(["personal"], processing({"trains_on_data": trains}))) == {"trains_on_data"}
	}
}

test_sub_processors_are_on_the_presets_list if {
	fit := object.union({"agreements": {"dpa": {"since_unix": 1, "until_unix": null}, "baa": {"since_unix": 1, "until_unix": null}}}, processing({"retention_days": 0}))
	every known in [[], ["aws"]] {
		codes(sent(["health"], object.union(fit, processing({"retention_days": 0, "sub_processors": known})))) == set()
	}
	every others in [["aws", "acme-hosting"], null, "aws", {}] {
		codes(sent(["health"], object.union(fit, processing({"retention_days": 0, "sub_processors": others})))) == {"sub_processor_not_allowed"}
	}
}

test_every_preset_that_the_data_needs_binds if {
	codes(sent(["personal", "health"], {})) == {"agreement_missing", "retention_too_long"}
}

test_a_preset_that_is_missing_nobody_fulfils if {
	lists := examples.with_list("agreements", {"classes": {"internal": ["lost"]}})
	codes_under(sent(["internal"], {}), lists) == all
	codes_under(sent(["personal"], {}), {}) == all
}

test_a_preset_that_lacks_a_part_nobody_fulfils if {
	every part in ["agreements", "retention_days", "training", "sub_processors"] {
		preset := object.remove(examples.lists.agreements.presets.gdpr, {part})
		lists := object.union(object.remove(examples.lists, {"agreements"}), {"agreements": {
			"presets": {"gdpr": preset},
			"classes": {"confidential": ["gdpr"]},
			"labels": {},
		}})
		count(codes_under(sent(["personal"], {}), lists)) == 1
	}
}

test_a_bare_candidate_fulfils_nothing if {
	document := object.union(object.remove(sent(["health"], {}), {"candidates"}), {"candidates": [{"id": "bare"}]})
	codes(document) == all
}

test_without_a_time_no_agreement_is_in_force if {
	codes(object.remove(sent(["personal"], {}), {"time"})) == {"agreement_missing"}
}

# There is nothing to deny in it; llm.request denies it, llm.main permits nothing.
test_empty_input_has_no_deployment_to_deny if codes({}) == set()

package llm.approvals_test

import data.llm.approvals
import data.llm.examples_test as examples

lists := object.union(examples.lists, {"approvals": {"required": ["chat"]}})

grant := {"id": "apr_1", "model": "chat", "until_unix": 1795197601, "amount_usd": 50}

with_grants(grants) := object.union(examples.chat, {"approvals": grants})

codes_under(document, known) := found if {
	denials := approvals.deny with input as document with data.llm.compliance as known
	found := {reason.code | some reason in denials}
}

codes(document) := codes_under(document, lists)

relied_on(document) := id if {
	id := approvals.approval with input as document with data.llm.compliance as lists
}

test_a_model_that_needs_none_is_open if codes_under(examples.chat, examples.lists) == set()

test_without_a_grant_a_listed_model_is_denied if codes(examples.chat) == {"approval_required"}

test_a_grant_opens_the_model_and_is_named if {
	codes(with_grants([grant])) == set()
	relied_on(with_grants([grant])) == "apr_1"
}

test_the_first_that_fits_is_relied_on if {
	other := object.union(grant, {"id": "apr_0", "model": "zeta"})
	second := object.union(grant, {"id": "apr_2"})
	relied_on(with_grants([other, grant, second])) == "apr_1"
}

test_a_grant_for_another_model_opens_nothing if {
	codes(with_grants([object.union(grant, {"model": "zeta"})])) == {"approval_required"}
	relied_on(with_grants([object.union(grant, {"model": "zeta"})])) == ""
}

test_a_grant_ends_with_its_last_second if {
	over := object.union(grant, {"until_unix": 1795197600})
	codes(with_grants([over])) == {"approval_required"}
}

test_a_grant_without_an_end_opens_nothing if {
	codes(with_grants([object.remove(grant, {"until_unix"})])) == {"approval_required"}
}

test_a_grant_that_nothing_needs_is_not_relied_on if {
	id := approvals.approval with input as with_grants([grant]) with data.llm.compliance as examples.lists
	id == ""
}

test_a_listing_is_not_denied if codes(examples.listing) == set()

test_a_lost_list_denies if {
	codes_under(examples.chat, object.remove(examples.lists, {"approvals"})) == {"approval_required"}
	codes_under(examples.chat, object.union(lists, {"approvals": {"required": "chat"}})) == {"approval_required"}
}

test_empty_input_needs_no_approval_because_it_names_no_model if {
	codes({}) == set()
	relied_on({}) == ""
}

test_lost_grants_deny if {
	codes(object.remove(examples.chat, {"approvals"})) == {"approval_required"}
	codes(with_grants(null)) == {"approval_required"}
}

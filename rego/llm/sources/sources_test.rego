package llm.sources_test

import data.llm.examples_test as examples
import data.llm.sources

codes_under(document, lists) := found if {
	denials := sources.deny with input as document with data.data as lists
	found := {reason.code | some reason in denials}
}

from(networks) := examples.calling({"networks": networks})

office_only := examples.at_department({"sources": ["office", "vpn"]})

test_without_entries_calls_may_come_from_anywhere if codes_under(examples.chat, examples.lists) == set()

test_one_of_the_named_networks_is_enough if {
	codes_under(from(["vpn"]), office_only) == set()
	codes_under(from(["guest", "office"]), office_only) == set()
}

test_other_networks_are_denied if {
	codes_under(from(["guest"]), office_only) == {"network_not_allowed"}
}

test_a_route_that_does_not_tell_the_network_is_denied if {
	codes_under(from([]), office_only) == {"network_not_allowed"}
}

test_every_place_must_know_a_network if {
	lists := examples.with_list("places", {
		"default": {"sources": ["office", "vpn"]},
		"teams": {"emea-sales": {"sources": ["vault"]}},
	})
	codes_under(from(["office"]), lists) == {"network_not_allowed"}
	codes_under(from(["vault"]), lists) == {"network_not_allowed"}
	codes_under(from(["vault", "office"]), lists) == set()
}

test_broken_networks_are_denied if {
	every networks in [null, "office", {}, [null]] {
		codes_under(from(networks), office_only) == {"network_not_allowed"}
	}
	every names in [[], "office", true] {
		lists := examples.at_team({"sources": names})
		codes_under(from(["office"]), lists) == {"network_not_allowed"}
	}
}

test_lost_lists_deny if codes_under(examples.chat, {}) == {"network_not_allowed"}

test_a_listing_may_come_from_anywhere if codes_under(examples.listing, office_only) == set()

test_empty_input_is_denied_where_networks_are_named if {
	codes_under({}, examples.with_list("places", {"default": {"sources": ["office"]}})) == {"network_not_allowed"}
	codes_under({}, examples.lists) == set()
}

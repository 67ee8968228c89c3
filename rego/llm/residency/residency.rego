# METADATA
# title: Where may the data be processed?
# description: |
#   Each class of data in the call, and each label that has an entry of its own, must permit the
#   deployment's region. A class without an entry may go nowhere.
# scope: package
# schemas:
#   - input: schema.input
package llm.residency

import data.llm.config
import data.llm.data_classes
import data.llm.reasons

# METADATA
# title: Region not allowed for this data
# description: The deployment lies in a region to which this data may not go, or nobody said where.
# scope: rule
# custom:
#   code: region_not_allowed
#   solution: Use a model that is deployed where this data may go, or leave the data out.
deny contains reasons.against_deployment(
	candidate.id,
	"region_not_allowed",
	"llm.residency",
	"Data with these labels may not be processed where this deployment is.",
	"Use a model that is deployed where this data may go, or leave the data out.",
) if {
	not data_classes.nothing
	some candidate in input.candidates
	not _may_go_to(candidate)
}

_may_go_to(candidate) if {
	every class in data_classes.present { _permits(_of_class(class), candidate) }
	every label in input.call.data_labels { _permits(object.get(config.residency.labels, label, ["*"]), candidate) }
}

_of_class(class) := places if {
	classes := config.residency.classes
	places := classes[class]
}

_permits(places, candidate) if {
	some place in places
	_lies_in(candidate, place)
}

_lies_in(_, "*")

_lies_in(candidate, place) if candidate.region == place

_lies_in(candidate, place) if {
	groups := config.residency.regions
	regions := groups[place]
	candidate.region in regions
}

# METADATA
# title: What data is it, and may the caller send it?
# description: |
#   Labels of the call are turned into classes of data; some classes need clearance. A label that no
#   list knows denies: it says that the data is something, and nobody said what may be done with it.
# scope: package
# schemas:
#   - input: schema.input
package llm.data_classes

import data.llm.config
import data.llm.reasons
import data.llm.request

# METADATA
# title: Unknown data label
# description: Every label of the call is one of compliance's, or the name of a class.
# scope: rule
# custom:
#   code: data_label_unknown
#   solution: Use a label that compliance knows, or ask them to add yours.
deny contains reasons.against_call(
	"data_label_unknown",
	"llm.data_classes",
	"The call carries a data label that the policy does not know.",
	"Use a label that compliance knows, or ask them to add yours.",
) if {
	not nothing
	not request.is_listing
	not _labels_known
}

# METADATA
# title: Clearance missing
# description: From a class on that compliance names, the caller needs clearance for that class.
# scope: rule
# custom:
#   code: clearance_missing
#   solution: Ask the platform team for clearance, or leave this data out.
deny contains reasons.against_call(
	"clearance_missing",
	"llm.data_classes",
	"You are not cleared for data of this class.",
	"Ask the platform team for clearance, or leave this data out.",
) if {
	not nothing
	not request.is_listing
	not _cleared
}

# METADATA
# title: Whether nothing is known to be protected
# description: The call has no labels, and compliance takes such calls for nothing in particular.
# scope: document
default nothing := false

nothing if {
	input.call.data_labels == []
	config.data_classes.unlabelled == null
}

# METADATA
# title: Classes of the data in this call
# description: One for each known label; for a call without labels what compliance takes it for.
# scope: document
present contains class if {
	some label in input.call.data_labels
	class := _class_of(label)
}

present contains class if {
	input.call.data_labels == []
	class := config.data_classes.unlabelled
	class != null
}

# Only an array that is not empty has a first element.
_labels_known if {
	input.call.data_labels[0]
	every label in input.call.data_labels { _known(label) }
}

_labels_known if {
	input.call.data_labels == []
	config.data_classes.unlabelled in config.data_classes.order
}

_known(label) if _class_of(label) in config.data_classes.order

_class_of(label) := class if {
	labels := config.data_classes.labels
	class := labels[label]
} else := label if {
	label in config.data_classes.order
}

_cleared if {
	every class in present { _cleared_for(class) }
}

_cleared_for(class) if {
	config.data_classes.clearance_from == null
} else if {
	_rank(class) < _rank(config.data_classes.clearance_from)
} else if {
	_rank(class) <= _rank(input.caller.clearance)
}

_rank(class) := place if {
	some place
	config.data_classes.order[place] == class
}

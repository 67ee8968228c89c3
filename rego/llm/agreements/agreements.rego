# METADATA
# title: Has the provider agreed to what the data needs?
# description: |
#   Classes and labels name presets of demands, such as gdpr. Each preset asks for agreements that are
#   in force now, and says what the provider may do with the data. What nobody said of a deployment
#   it does not fulfil; a preset that is missing nobody fulfils.
# scope: package
# schemas:
#   - input: schema.input
package llm.agreements

import data.llm.config
import data.llm.data_classes
import data.llm.reasons

# METADATA
# title: Agreement missing
# description: An agreement that the data needs is not in force with this provider.
# scope: rule
# custom:
#   code: agreement_missing
#   solution: Use a deployment whose provider has agreed, or ask compliance for the agreement.
deny contains reasons.against_deployment(
	candidate.id,
	"agreement_missing",
	"llm.agreements",
	"An agreement that this data needs is not in force with the provider.",
	"Use a deployment whose provider has agreed, or ask compliance for the agreement.",
) if {
	not data_classes.nothing
	some candidate in input.candidates
	not _agreed(candidate)
}

# METADATA
# title: Kept too long
# description: The provider keeps the data for longer than it may, or nobody said for how long.
# scope: rule
# custom:
#   code: retention_too_long
#   solution: Use a deployment that keeps the data for a shorter time.
deny contains reasons.against_deployment(
	candidate.id,
	"retention_too_long",
	"llm.agreements",
	"The provider keeps data for longer than this data may be kept.",
	"Use a deployment that keeps the data for a shorter time.",
) if {
	not data_classes.nothing
	some candidate in input.candidates
	not _kept_briefly(candidate)
}

# METADATA
# title: Training on the data
# description: The provider trains models on the data, or nobody said that it does not.
# scope: rule
# custom:
#   code: trains_on_data
#   solution: Use a deployment whose provider does not train on what it is sent.
deny contains reasons.against_deployment(
	candidate.id,
	"trains_on_data",
	"llm.agreements",
	"The provider may train models on this data, and it must not.",
	"Use a deployment whose provider does not train on what it is sent.",
) if {
	not data_classes.nothing
	some candidate in input.candidates
	not _not_trained_on(candidate)
}

# METADATA
# title: Sub-processor not allowed
# description: The provider hands the data to somebody who is not on the preset's list.
# scope: rule
# custom:
#   code: sub_processor_not_allowed
#   solution: Use another deployment, or ask compliance to look at the sub-processor.
deny contains reasons.against_deployment(
	candidate.id,
	"sub_processor_not_allowed",
	"llm.agreements",
	"The provider uses a sub-processor that this data may not go to.",
	"Use another deployment, or ask compliance to look at the sub-processor.",
) if {
	not data_classes.nothing
	some candidate in input.candidates
	not _handed_to_known(candidate)
}

# METADATA
# title: Presets that the data needs
# description: Of every class of data in the call and of every label.
# scope: document
needed contains preset if {
	some class in data_classes.present
	some preset in object.get(config.agreements.classes, class, [])
}

needed contains preset if {
	some label in input.call.data_labels
	some preset in object.get(config.agreements.labels, label, [])
}

# Undefined, and so fulfilled by nobody, where a list or a preset is lost.
_demands := [_preset(preset) | some preset in needed] if {
	is_object(config.data_classes)
	every preset in needed { is_object(_preset(preset)) }
	is_object(config.agreements.classes)
	is_object(config.agreements.labels)
}

_preset(name) := demand if {
	presets := config.agreements.presets
	demand := presets[name]
}

_agreed(candidate) if {
	every demand in _demands { _all_in_force(candidate, demand.agreements) }
}

_all_in_force(candidate, kinds) if {
	every kind in kinds { _in_force(candidate.agreements[kind]) }
}

# Rego orders values of all types, null before numbers and texts after them.
_in_force(agreement) if {
	is_number(agreement.since_unix)
	agreement.since_unix <= _now
	_not_over(agreement.until_unix)
}

_not_over(null)

_not_over(until) if {
	is_number(until)
	_now < until
}

_now := input.time.unix if is_number(input.time.unix)

_kept_briefly(candidate) if {
	every demand in _demands { _kept_at_most(candidate, demand.retention_days) }
}

_kept_at_most(_, null)

_kept_at_most(candidate, days) if {
	is_number(days)
	is_number(candidate.data_processing.retention_days)
	candidate.data_processing.retention_days <= days
}

_not_trained_on(candidate) if {
	every demand in _demands { _training_fits(candidate, demand.training) }
}

_training_fits(_, "allowed")

_training_fits(candidate, "forbidden") if candidate.data_processing.trains_on_data == false

_handed_to_known(candidate) if {
	every demand in _demands { _handed_to(candidate, demand.sub_processors) }
}

_handed_to(candidate, allowed) if {
	some processor in allowed
	processor == "*"
} else if {
	is_array(candidate.data_processing.sub_processors)
	every processor in candidate.data_processing.sub_processors { processor in allowed }
}

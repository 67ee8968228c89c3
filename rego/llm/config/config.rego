# METADATA
# title: Compliance's lists
# description: |
#   The one package that reads data.data, where rego/data/<list>.yaml land. Every rule here is
#   undefined when its list is missing or has the wrong shape; `complete` then fails and llm.request
#   denies the call. Of lists by place only the entries that bind this caller are looked at: a call
#   must not take longer because there are many teams. The whole lists are checked when they are
#   loaded.
# scope: package
# schemas:
#   - input: schema.input
package llm.config

import data.llm.precedence

# METADATA
# title: Revision of rules and lists
# description: Named in every decision and in the audit trail.
# scope: document
revision := data.data.revision if {
	is_string(data.data.revision)
	data.data.revision != ""
}

# METADATA
# title: Restricted models
# description: Alias -> {roles, departments, teams, use_cases}.
# scope: document
restricted_models := data.data.models.restricted if is_object(data.data.models.restricted)

# METADATA
# title: Models that need an approval
# description: Aliases.
# scope: document
approvals_required := data.llm.compliance.approvals.required if {
	is_array(data.llm.compliance.approvals.required)
}

# METADATA
# title: Soft state of budgets
# description: From `used_fraction` on, only cheap deployments; what cheap is.
# scope: document
soft_budget := data.data.budgets.soft if {
	is_number(data.data.budgets.soft.used_fraction)
	is_number(data.data.budgets.soft.max_usd_per_million_output)
}

# METADATA
# title: Caps on the length of answers
# description: By place, in tokens; null is no cap.
# scope: document
output_caps := data.data.obligations.max_output_tokens if {
	_by_place(data.data.obligations.max_output_tokens)
	_cap_or_none(precedence.nearest(data.data.obligations.max_output_tokens))
}

# METADATA
# title: Which answers may be kept
# description: By place, each {seconds, scope}; 0 seconds is not at all.
# scope: document
answer_cache := data.data.obligations.cache if {
	_by_place(data.data.obligations.cache)
	_cache_entry(precedence.nearest(data.data.obligations.cache))
}

# METADATA
# title: What becomes of personal data
# description: By place, each {input, output, restore, kinds}; and how places are read.
# scope: document
pii := data.data.obligations.pii if {
	_by_place(data.data.obligations.pii)
	data.data.obligations.pii.precedence in _precedences
	every entry in precedence.binding(data.data.obligations.pii) { _pii_entry(entry) }
}

# METADATA
# title: Which prompt guard looks at a call
# description: By place, the name of a profile or none; and how places are read.
# scope: document
guard := data.data.obligations.guard if {
	_by_place(data.data.obligations.guard)
	data.data.obligations.guard.precedence in _precedences
	every entry in precedence.binding(data.data.obligations.guard) { is_string(entry) }
}

# METADATA
# title: What is kept of words
# description: By place, each {level, keep_days}; and how places are read.
# scope: document
log := data.data.obligations.log if {
	_by_place(data.data.obligations.log)
	data.data.obligations.log.precedence in _precedences
	every entry in precedence.binding(data.data.obligations.log) { _log_entry(entry) }
}

# METADATA
# title: Classes of data
# description: Their order, the label of each kind of data, from which class on clearance is needed.
# scope: document
data_classes := data.data.data_classes if {
	is_array(data.data.data_classes.order)
	is_object(data.data.data_classes.labels)
	_class_or_none(data.data.data_classes.unlabelled)
	_class_or_none(data.data.data_classes.clearance_from)
}

# METADATA
# title: Where data may be processed
# description: Groups of regions; where each class, and each label, may go.
# scope: document
residency := data.data.residency if {
	is_object(data.data.residency.regions)
	is_object(data.data.residency.classes)
	is_object(data.data.residency.labels)
}

# METADATA
# title: What providers must have agreed to
# description: Presets of demands; which of them classes and labels need.
# scope: document
agreements := data.data.agreements if {
	is_object(data.data.agreements.presets)
	is_object(data.data.agreements.classes)
	is_object(data.data.agreements.labels)
}

# METADATA
# title: Tools and images
# description: By place, whether they may be used.
# scope: document
features := data.data.features if {
	_by_place(data.data.features.tools)
	_by_place(data.data.features.images)
}

# METADATA
# title: Hours
# description: By place, the windows of the week in which calls may be made; null is always.
# scope: document
hours := data.data.hours if _by_place(data.data.hours)

# METADATA
# title: Source networks
# description: By place, the networks that calls must come from; null is anywhere.
# scope: document
sources := data.data.sources if _by_place(data.data.sources)

# METADATA
# title: Use cases
# description: Who has to name one, and what each is for.
# scope: document
use_cases := data.data.use_cases if {
	_by_place(data.data.use_cases.required)
	is_boolean(data.data.use_cases.only_known)
	is_object(data.data.use_cases.known)
}

# METADATA
# title: What needs an approval
# description: Models by alias, each {roles, teams} that need none; and any call above an amount.
# scope: document
approvals := data.data.approvals if {
	is_object(data.data.approvals.models)
	_amount_or_none(data.data.approvals.above_usd)
}

# METADATA
# title: Every list is there
# description: A list that was lost or mistyped must deny, not quietly stop binding.
# scope: document
complete if {
	is_string(revision)
	is_object(restricted_models)
	is_array(approvals_required)
	is_object(soft_budget)
	is_object(output_caps)
	is_object(answer_cache)
	is_object(pii)
	is_object(guard)
	is_object(log)
	is_object(data_classes)
	is_object(residency)
	is_object(agreements)
	is_object(features)
	is_object(hours)
	is_object(sources)
	is_object(use_cases)
	is_object(approvals)
}

_by_place(list) if {
	is_object(list.departments)
	is_object(list.teams)
	object.get(list, "default", "missing") != "missing"
}

_cap_or_none(cap) if is_null(cap)

_cap_or_none(cap) if {
	is_number(cap)
	cap >= 1
	cap == floor(cap)
}

_cache_entry(entry) if {
	is_number(entry.seconds)
	entry.seconds >= 0
	entry.seconds == floor(entry.seconds)
	entry.seconds <= 2678400
	entry.scope in _cache_scopes
}

_pii_entry(entry) if {
	entry.input in _pii_modes
	entry.output in _pii_modes
	is_boolean(entry.restore)
	is_array(entry.kinds)
	every kind in entry.kinds { is_string(kind) }
}

_log_entry(entry) if {
	entry.level in _log_levels
	is_number(entry.keep_days)
	entry.keep_days >= 0
	entry.keep_days == floor(entry.keep_days)
}

_class_or_none(class) if is_null(class)

_class_or_none(class) if class in data.data.data_classes.order

_amount_or_none(amount) if is_null(amount)

_amount_or_none(amount) if is_number(amount)

_cache_scopes := {"user", "project", "team", "department", "organisation"}

_pii_modes := {"off", "redact", "block"}

_log_levels := {"none", "digest", "redacted", "full"}

_precedences := {"tighten", "override"}

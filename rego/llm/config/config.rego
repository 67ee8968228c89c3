# METADATA
# title: Compliance's lists
# description: |
#   The one package that reads data.llm.compliance. Every rule here is undefined when its list is
#   missing or has the wrong shape; `complete` then fails and llm.request denies the call.
# scope: package
# schemas:
#   - input: schema.input
package llm.config

# METADATA
# title: Revision of rules and lists
# description: Named in every decision and in the audit trail.
# scope: document
revision := data.llm.compliance.revision if {
	is_string(data.llm.compliance.revision)
	data.llm.compliance.revision != ""
}

# METADATA
# title: Restricted models
# description: Alias -> {roles, departments}.
# scope: document
restricted_models := data.llm.compliance.models.restricted if {
	is_object(data.llm.compliance.models.restricted)
}

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
soft_budget := data.llm.compliance.budgets.soft if {
	is_number(data.llm.compliance.budgets.soft.used_fraction)
	is_number(data.llm.compliance.budgets.soft.max_usd_per_million_output)
}

# METADATA
# title: Caps on the length of answers
# description: '{default, departments, teams}, in tokens; null is no cap.'
# scope: document
output_caps := data.llm.compliance.obligations.max_output_tokens if {
	_caps_well_formed(data.llm.compliance.obligations.max_output_tokens)
}

# METADATA
# title: Which answers may be kept
# description: '{default, departments, teams}, each {seconds, scope}; 0 seconds is not at all.'
# scope: document
answer_cache := data.llm.compliance.obligations.cache if {
	_cache_well_formed(data.llm.compliance.obligations.cache)
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
}

_caps_well_formed(caps) if {
	is_object(caps.departments)
	is_object(caps.teams)
	_cap_or_none(caps["default"])
	every _, cap in caps.departments { _cap_or_none(cap) }
	every _, cap in caps.teams { _cap_or_none(cap) }
}

_cap_or_none(cap) if is_null(cap)

_cap_or_none(cap) if {
	is_number(cap)
	cap >= 1
	cap == floor(cap)
}

_cache_well_formed(lists) if {
	is_object(lists.departments)
	is_object(lists.teams)
	_cache_entry(lists["default"])
	every _, entry in lists.departments { _cache_entry(entry) }
	every _, entry in lists.teams { _cache_entry(entry) }
}

_cache_entry(entry) if {
	is_number(entry.seconds)
	entry.seconds >= 0
	entry.seconds == floor(entry.seconds)
	entry.seconds <= 2678400
	entry.scope in _cache_scopes
}

_cache_scopes := {"user", "project", "team", "department", "organisation"}

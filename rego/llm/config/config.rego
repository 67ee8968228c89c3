# METADATA
# title: Compliance's lists
# description: |
#   The one package that reads data.data, where rego/data/<list>.yaml land. A list that is lost leaves
#   its rule here undefined; `complete` then fails and llm.request denies the call. What the lists hold
#   is checked once, when the service loads them, and not for every call; each question still denies
#   where the part that it needs is lost.
# scope: package
# schemas:
#   - input: schema.input
package llm.config

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
restricted_models := data.data.models.restricted

# METADATA
# title: Soft state of budgets
# description: From `used_fraction` on, only cheap deployments; what cheap is.
# scope: document
soft_budget := data.data.budgets.soft if {
	is_number(data.data.budgets.soft.used_fraction)
	is_number(data.data.budgets.soft.max_usd_per_million_output)
}

# METADATA
# title: What must be done to allowed calls
# description: Lists by place; max_output_tokens, cache, pii, guard, log.
# scope: document
obligations := data.data.obligations

# METADATA
# title: Classes of data
# description: Their order, the label of each kind of data, from which class on clearance is needed.
# scope: document
data_classes := data.data.data_classes

# METADATA
# title: Where data may be processed
# description: Groups of regions; where each class, and each label, may go.
# scope: document
residency := data.data.residency

# METADATA
# title: What providers must have agreed to
# description: Presets of demands; which of them classes and labels need.
# scope: document
agreements := data.data.agreements

# METADATA
# title: Tools and images
# description: Lists by place, whether they may be used.
# scope: document
features := data.data.features

# METADATA
# title: Hours
# description: By place, the windows of the week in which calls may be made; null is always.
# scope: document
hours := data.data.hours

# METADATA
# title: Source networks
# description: By place, the networks that calls must come from; null is anywhere.
# scope: document
sources := data.data.sources

# METADATA
# title: Use cases
# description: Who has to name one, and what each is for.
# scope: document
use_cases := data.data.use_cases

# METADATA
# title: What needs an approval
# description: Models by alias, each {roles, teams} that need none; and any call above an amount.
# scope: document
approvals := data.data.approvals

# METADATA
# title: Every list is there
# description: A list that was lost must deny, not quietly stop binding.
# scope: document
complete if {
	is_string(revision)
	is_object(soft_budget)
	lost := _needed - object.keys(data.data)
	count(lost) == 0
}

_needed := {
	"agreements",
	"approvals",
	"budgets",
	"data_classes",
	"features",
	"hours",
	"models",
	"obligations",
	"residency",
	"sources",
	"use_cases",
}

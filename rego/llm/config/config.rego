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
	not data.data.revision == ""
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
# title: What holds where
# description: For everybody, and by organisation, department and team; see llm.precedence.
# scope: document
places := data.data.places

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
# title: Use cases
# description: Whether only known ones may be named, and what each is for.
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
	_ = revision
	_ = soft_budget
	_ = agreements
	_ = approvals
	_ = data_classes
	_ = data.data.models
	_ = places
	_ = residency
	_ = use_cases
}

# METADATA
# title: What must be done to an allowed call?
# description: Obligations never permit anything; they bind calls that other rules permit.
# scope: package
# schemas:
#   - input: schema.input
package llm.obligations

import data.llm.config

# METADATA
# title: Cap on the answer's length
# description: Tokens; null is no cap. The team's entry, else the department's, else the default.
# scope: document
max_output_tokens := config.output_caps.teams[input.caller.team] if {
	true
} else := config.output_caps.departments[input.caller.department] if {
	true
} else := object.get(config.output_caps, "default", null) if {
	true
} else := null

# METADATA
# title: How long an answer may be kept
# description: Seconds; 0 is not at all. From the team's entry, else the department's, else the default.
# scope: document
cache_seconds := object.get(_cache, "seconds", 0)

# METADATA
# title: Who may be given a kept answer
# description: user, project, team, department or organisation; never somebody of another organisation.
# scope: document
cache_scope := object.get(_cache, "scope", "team")

_cache := config.answer_cache.teams[input.caller.team] if {
	true
} else := config.answer_cache.departments[input.caller.department] if {
	true
} else := object.get(config.answer_cache, "default", {}) if {
	true
} else := {}

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

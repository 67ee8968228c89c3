# METADATA
# title: Is it a time for calls?
# description: |
#   By the organisation's clocks. Every place that binds the caller must have a window open now; one
#   without windows is always open.
# scope: package
# schemas:
#   - input: schema.input
package llm.hours

import data.llm.precedence
import data.llm.reasons
import data.llm.request

# METADATA
# title: Outside of the hours
# description: No window is open for the caller's team, department or organisation.
# scope: rule
# custom:
#   code: outside_hours
#   solution: Call within the hours that compliance has set for your team.
deny contains reasons.against_call(
	"outside_hours",
	"llm.hours",
	"Your team may not call models at this time.",
	"Call within the hours that compliance has set for your team.",
) if {
	not request.is_listing
	not _open
}

_open if {
	every windows in precedence.said("hours") { _within(windows) }
}

_within(null)

_within(windows) if {
	some window in windows
	some day in window.days
	day == input.time.local.weekday
	window.from_hour * 60 <= _minute
	_minute < window.until_hour * 60
}

_minute := (input.time.local.hour * 60) + input.time.local.minute

# METADATA
# title: What holds for the caller's place?
# description: |
#   The list `places` says what holds for everybody (its default), and what is particular to an
#   organisation, a department or a team: default < organisation < department < team. This is the one
#   package that says how entries are weighed. Two readings: `override`, the narrowest entry that says
#   a setting holds whatever the wider ones say; `tighten`, all entries hold at once, so that a
#   narrower place can add to what a wider one demands and take nothing from it.
# scope: package
# schemas:
#   - input: schema.input
package llm.precedence

import data.llm.config

# METADATA
# title: What every place says of a setting
# description: Widest first; undefined where the default is silent, for then the list is broken.
# scope: document
said(setting) := values if {
	setting in _settings
	values := [place[setting] | some place in _places]
}

# METADATA
# title: What the narrowest place says of a setting
# description: For settings whose narrower entries override the wider ones.
# scope: document
nearest(setting) := values[count(values) - 1] if {
	values := said(setting)
}

# METADATA
# title: What holds of a setting, as the list itself says
# description: By its `reading`, all or the narrowest alone; undefined for another word.
# scope: document
holding(setting) := said(setting) if {
	config.places.reading[setting] == "tighten"
} else := [nearest(setting)] if {
	config.places.reading[setting] == "override"
}

_settings := object.keys(config.places["default"])

# Looked up once: an object's entry is found in no time by OPA, and in linear time by rego-cpp.
_places := array.concat([config.places["default"]], [entry[1] | some entry in _narrower])

# Numbered, because a set is walked in its elements' order.
_narrower contains [1, config.places.organisations[input.caller.organisation]]

_narrower contains [2, config.places.departments[input.caller.department]]

_narrower contains [3, config.places.teams[input.caller.team]]

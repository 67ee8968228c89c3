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
said(setting) := [place[setting] | some place in _places] if _says(config.places["default"], setting)

# METADATA
# title: What the narrowest place says of a setting
# description: For settings whose narrower entries override the wider ones.
# scope: document
nearest(setting) := values[0] if {
	_says(config.places["default"], setting)
	values := [place[setting] | some place in _narrowest_first]
}

# METADATA
# title: What holds of a setting, as the list itself says
# description: By its `reading`, all or the narrowest alone; undefined for another word.
# scope: document
holding(setting) := said(setting) if {
	_reading(setting) == "tighten"
} else := [nearest(setting)] if {
	_reading(setting) == "override"
}

_reading(setting) := word if {
	readings := config.places.reading
	word := readings[setting]
}

# Whatever it says, false and null included.
_says(place, setting) if {
	some _ in [place[setting]]
}

_places := [config.places["default"], _organisation, _department, _team]

_narrowest_first := [_team, _department, _organisation, config.places["default"]]

default _organisation := {}

_organisation := config.places.organisations[input.caller.organisation]

default _department := {}

_department := config.places.departments[input.caller.department]

default _team := {}

# There can be a thousand teams: see the README about long lists.
_team := found[input.caller.team] if {
	found := json.filter(config.places.teams, [[input.caller.team]])
}

# METADATA
# title: Which entry of a list binds?
# description: |
#   Lists by place have `default`, and may have `organisations`, `departments` and `teams`, each with
#   entries by name. The narrower place stands above the wider one: default < organisation <
#   department < team. A list is read in one of two ways, and this is the one package that says how:
#   `nearest` for lists whose narrower entries override the wider ones, `binding` for lists whose
#   narrower entries can only tighten them, because all of them bind at once.
# scope: package
# schemas:
#   - input: schema.input
package llm.precedence

# METADATA
# title: The narrowest entry
# description: The team's, else the department's, else the organisation's, else the default.
# scope: document
nearest(list) := list.teams[input.caller.team] if {
	true
} else := list.departments[input.caller.department] if {
	true
} else := list.organisations[input.caller.organisation] if {
	true
} else := list["default"]

# METADATA
# title: Every entry that binds the caller
# description: The default first; undefined for a list without one.
# scope: document
binding(list) := array.concat([list["default"]], [entry |
	some place in _places
	entry := list[place.level][place.name]
])

_places contains {"level": "organisations", "name": input.caller.organisation}

_places contains {"level": "departments", "name": input.caller.department}

_places contains {"level": "teams", "name": input.caller.team}
